// Telegram's entities turned into elements. Offsets count UTF-16 units, as JavaScript does.
import { element } from "./dom.js";

const SAFE_LINK = /^(https?|tg|mailto):/i;

const link = (href) => (children) =>
  SAFE_LINK.test(href)
    ? element("a", { href, target: "_blank", rel: "noopener noreferrer" }, ...children)
    : element("span", {}, ...children);

function spoiler(children) {
  const made = element("span", { className: "spoiler" }, element("span", {}, ...children));
  made.addEventListener("click", () => made.classList.add("open"));
  return made;
}

function command(children, { onCommand, part }) {
  const made = element("a", { className: "command", href: "#" }, ...children);
  made.addEventListener("click", (event) => {
    event.preventDefault();
    onCommand(part);
  });
  return made;
}

const plain = (tag) => (children) => element(tag, {}, ...children);

const MAKERS = {
  bold: plain("b"),
  italic: plain("i"),
  underline: plain("u"),
  strikethrough: plain("s"),
  code: plain("code"),
  pre: plain("pre"),
  blockquote: plain("blockquote"),
  expandable_blockquote: plain("blockquote"),
  spoiler,
  bot_command: command,
  text_link: (children, { entity }) => link(entity.url)(children),
  url: (children, { part }) => link(part)(children),
  email: (children, { part }) => link(`mailto:${part}`)(children),
};

// Returns the nodes of a text; an entity that crosses another one is cut at its end.
export function formatted(text, entities = [], { onCommand }) {
  const waiting = [...entities];

  function nodes(start, end) {
    const made = [];
    let at = start;
    while (waiting.length && waiting[0].offset < end) {
      const entity = waiting.shift();
      const from = Math.max(entity.offset, at);
      const to = Math.min(entity.offset + entity.length, end);
      if (from > at) made.push(text.slice(at, from));
      const children = nodes(from, to);
      const maker = MAKERS[entity.type] ?? plain("span");
      made.push(maker(children, { entity, onCommand, part: text.slice(from, to) }));
      at = to;
    }
    if (at < end) made.push(text.slice(at, end));
    return made;
  }

  return nodes(0, text.length);
}
