"""From a template to a prompt, from a reply to a score, from tokens to USD. Pure."""
