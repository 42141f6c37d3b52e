// Small ways to build elements; text always goes in as text.

export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "dataset") Object.assign(made.dataset, value);
    else if (name === "style") for (const [key, set] of Object.entries(value)) made.style.setProperty(key, set);
    else made[name] = value;
  }
  made.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return made;
}

// Puts a name's first letter into a circle; people get a colour of their own, bots the page's.
export function avatar(target, { id, name }) {
  target.textContent = [...(name || "?")][0].toUpperCase();
  if (id) target.style.setProperty("--hue", String((id * 137 + 190) % 360));
  return target;
}
