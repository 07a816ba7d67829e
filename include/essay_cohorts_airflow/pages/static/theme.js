// Follows the theme of Airflow around this page; a page without Airflow around it follows the browser's preference.
(() => {
  const root = document.documentElement;
  let airflow = null;
  try {
    if (window.parent !== window) airflow = window.parent.document.documentElement;
  } catch {
    airflow = null;
  }
  const choose = () => {
    let theme = airflow ? (airflow.classList.contains("dark") ? "dark" : "light") : "";
    if (!theme) {
      try {
        theme = localStorage.getItem("theme") || "";
      } catch {
        theme = "";
      }
    }
    if (theme === "light" || theme === "dark") root.dataset.theme = theme;
  };
  choose();
  if (airflow) {
    root.classList.add("inside");
    new MutationObserver(choose).observe(airflow, { attributeFilter: ["class"] });
  }
})();
