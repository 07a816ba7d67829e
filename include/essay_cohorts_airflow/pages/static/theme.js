// Light or dark as Airflow around this page is, and when it changes; by itself as the browser prefers.
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
