// The list of messages of one chat, kept in step with what the sandbox knows.
import { bubble, service } from "./bubble.js";
import { element } from "./dom.js";

const JOINED_WITHIN_S = 300;
const NEAR_PX = 160;

export class History {
  constructor({ list, scroll, down, context }) {
    Object.assign(this, { list, scroll, down, context });
    this.messages = new Map();
    this.shown = new Map();
    scroll.addEventListener("scroll", () => (down.hidden = this.isNearEnd()));
    down.addEventListener("click", () => this.toEnd("smooth"));
    new ResizeObserver(() => this.isFollowing && this.toEnd()).observe(list);
  }

  get isEmpty() {
    return this.messages.size === 0;
  }

  replace(messages) {
    this.messages = new Map(messages.map((message) => [message.message_id, message]));
    this.render();
    this.toEnd();
  }

  put(message) {
    const isNew = !this.messages.has(message.message_id);
    const isFollowing = this.isNearEnd() || (isNew && !message.from.is_bot);
    this.messages.set(message.message_id, message);
    this.render({ animate: isNew ? "fresh" : "changed" });
    if (isFollowing) this.toEnd();
  }

  remove(id) {
    this.messages.delete(id);
    this.render();
  }

  isNearEnd() {
    const { scrollHeight, scrollTop, clientHeight } = this.scroll;
    this.isFollowing = scrollHeight - scrollTop - clientHeight < NEAR_PX;
    return this.isFollowing;
  }

  toEnd(behavior = "instant") {
    this.isFollowing = true;
    this.scroll.scrollTo({ top: this.scroll.scrollHeight, behavior });
  }

  // Keeps the elements of what has not changed, so that pictures do not flicker.
  render({ animate, afresh } = {}) {
    const before = afresh ? new Map() : this.shown;
    this.shown = new Map();
    for (const part of this.parts()) {
      const signature = JSON.stringify(part.signature);
      const known = before.get(part.key);
      const item = known?.signature === signature ? known.item : part.make();
      if (animate && item !== known?.item) item.classList.add(animate);
      this.shown.set(part.key, { signature, item });
    }
    this.list.replaceChildren(...[...this.shown.values()].map(({ item }) => item));
  }

  parts() {
    const groups = this.groups();
    return groups.flatMap((messages, index) => {
      const [message] = messages;
      const isJoined = isNeighbour(groups[index - 1]?.[0], message);
      const isLast = !isNeighbour(message, groups[index + 1]?.[0]);
      const make = () => {
        const line = service(message, this.context());
        if (line) return line;
        const item = bubble(messages, this.context());
        item.classList.toggle("joined", isJoined);
        item.classList.toggle("last", isLast);
        return item;
      };
      const part = { key: message.message_id, signature: [messages, isJoined, isLast], make };
      return isSameDay(groups[index - 1]?.[0], message) ? [part] : [this.day(message), part];
    });
  }

  groups() {
    const groups = [];
    for (const message of [...this.messages.values()].sort((one, other) => one.message_id - other.message_id)) {
      const album = message.media_group_id;
      if (album && groups.at(-1)?.[0].media_group_id === album) groups.at(-1).push(message);
      else groups.push([message]);
    }
    return groups;
  }

  day(message) {
    const { language, words } = this.context();
    const date = new Date(message.date * 1000);
    const name = date.toLocaleDateString(language, { day: "numeric", month: "long" });
    const isToday = date.toDateString() === new Date().toDateString();
    const make = () => element("li", { className: "day" }, isToday ? words.today : name);
    return { key: `day ${date.toDateString()}`, signature: [language, isToday], make };
  }
}

const isSameDay = (one, other) =>
  one !== undefined && new Date(one.date * 1000).toDateString() === new Date(other.date * 1000).toDateString();

const isNeighbour = (one, other) =>
  one !== undefined &&
  other !== undefined &&
  one.from.id === other.from.id &&
  !one.reply_markup &&
  !one.successful_payment &&
  !one.refunded_payment &&
  other.date - one.date < JOINED_WITHIN_S;
