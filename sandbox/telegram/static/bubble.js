// One message, or one album, as an element.
import { fileLink } from "./api.js";
import { element } from "./dom.js";
import { formatted } from "./text.js";

const MEBIBYTE = 1024 * 1024;

const captioned = (messages) => messages.find((one) => one.text || one.caption) ?? messages[0];
const sizeOf = ({ file_size: size }) =>
  size < MEBIBYTE ? `${Math.ceil(size / 1024)} KB` : `${(size / MEBIBYTE).toFixed(1)} MB`;

// What the chat says itself between messages: that somebody paid, or got it back.
export function service({ successful_payment: paid, refunded_payment: refunded }, { words, bot }) {
  const what = paid ?? refunded;
  if (!what) return null;
  const stars = what.currency === "XTR" ? what.total_amount : `${what.total_amount} ${what.currency}`;
  const text = (paid ? words.paid : words.refunded)({ stars, bot });
  return element("li", { className: "day service" }, text);
}

// `context`: words, language, bot, onPress(message, button, element), onPay(message, element), onCommand(text),
// onPhoto(link).
export function bubble(messages, context) {
  const message = captioned(messages);
  const text = message.text ?? message.caption;
  const visuals = messages.filter((one) => one.photo || one.video);
  const buttons = message.reply_markup?.inline_keyboard;
  const inside = element(
    "div",
    { className: "bubble" },
    reply(message, context),
    visuals.length ? gallery(visuals, context) : null,
    ...messages.filter((one) => one.audio).map(({ audio }) => song(audio)),
    message.invoice ? goods(message.invoice) : null,
    ...messages.filter((one) => one.document).map(({ document }) => card(document)),
    text ? element("div", { className: "body" }, ...formatted(text, message.entities ?? message.caption_entities, context)) : null,
    meta(message, context),
  );
  const made = element("li", { className: "message" }, inside, buttons ? keyboard(message, context) : null);
  made.classList.toggle("out", !message.from.is_bot);
  made.classList.toggle("pictured", visuals.length > 0);
  made.classList.toggle("bare", visuals.length > 0 && !text);
  made.classList.toggle("edited", Boolean(message.edit_date));
  made.classList.toggle("wide", Boolean(buttons));
  return made;
}

function reply({ reply_to_message: replied }, { words }) {
  if (!replied) return null;
  const who = replied.from.is_bot ? replied.from.first_name : words.you;
  const what = replied.text ?? replied.caption ?? named(replied) ?? words.photo;
  return element("div", { className: "reply" }, element("b", {}, who), element("span", {}, what));
}

function gallery(messages, context) {
  const isSmall = messages.length > 2;
  const shown = messages.map(({ photo, video }) => (photo ? picture(photo, { isSmall, ...context }) : clip(video)));
  return element("div", { className: "photos", dataset: { count: String(messages.length) } }, ...shown);
}

function picture(sizes, { isSmall, onPhoto, words }) {
  const largest = sizes.at(-1);
  const shown = sizes.find(({ width, height }) => Math.max(width, height) >= (isSmall ? 320 : 800)) ?? largest;
  const ratio = Math.min(2.4, Math.max(0.62, largest.width / largest.height));
  const image = element("img", { src: fileLink(shown), alt: words.photo, width: shown.width, height: shown.height });
  const made = element("button", { className: "photo", type: "button", style: { "--ratio": String(ratio) } }, image);
  made.addEventListener("click", () => onPhoto(fileLink(largest)));
  return made;
}

const named = ({ document, audio, video }) => audio?.title ?? (document ?? audio ?? video)?.file_name;

function clip(video) {
  const still = video.cover?.at(-1) ?? video.thumbnail;
  const ratio = Math.min(2.4, Math.max(0.62, video.width / video.height || 1));
  const options = { className: "photo clip", src: fileLink(video), controls: true, preload: "metadata", style: { "--ratio": String(ratio) } };
  return element("video", { ...options, ...(still ? { poster: fileLink(still) } : {}) });
}

function song(audio) {
  const still = audio.thumbnail ? element("img", { src: fileLink(audio.thumbnail), alt: "" }) : "♪";
  const by = [audio.performer, sizeOf(audio)].filter(Boolean).join(" · ");
  const about = element("span", { className: "about" }, element("b", {}, audio.title ?? audio.file_name), element("small", {}, by));
  const player = element("audio", { src: fileLink(audio), controls: true, preload: "metadata" });
  return element("div", { className: "song" }, element("div", { className: "document" }, element("span", { className: "mark" }, still), about), player);
}

function goods({ title, description }) {
  return element("div", { className: "invoice" }, element("b", {}, title), element("span", {}, description));
}

function card(file) {
  const extension = (file.file_name.split(".").at(-1) ?? "").slice(0, 4).toUpperCase();
  const mark = file.thumbnail ? element("img", { src: fileLink(file.thumbnail), alt: "" }) : extension;
  return element(
    "a",
    { className: "document", href: fileLink(file), download: file.file_name },
    element("span", { className: "mark" }, mark),
    element("span", { className: "about" }, element("b", {}, file.file_name), element("small", {}, sizeOf(file))),
  );
}

function meta(message, { words, language }) {
  const time = new Date(message.date * 1000);
  const clock = time.toLocaleTimeString(language, { hour: "2-digit", minute: "2-digit", hour12: false });
  return element("span", { className: "meta" }, message.edit_date ? `${words.edited} ${clock}` : clock);
}

function keyboard(message, context) {
  const rows = message.reply_markup.inline_keyboard.map((row) =>
    element("div", {}, ...row.map((button) => key(message, button, context))),
  );
  return element("div", { className: "buttons" }, ...rows);
}

function key(message, button, context) {
  if (button.pay) return payKey(message, button, context);
  if (/^https?:/i.test(button.url ?? "")) {
    return element("a", { href: button.url, target: "_blank", rel: "noopener noreferrer" }, button.text);
  }
  const made = element("button", { type: "button", dataset: { data: button.callback_data ?? "" } }, button.text);
  made.addEventListener("click", () => context.onPress(message, button, made));
  return made;
}

// Telegram translates the text that it made itself, and draws a star for XTR in a bot's own.
function payKey(message, button, { words, onPay }) {
  const stars = message.invoice.total_amount;
  const isDefault = button.text === `Pay ⭐️${stars}`;
  const text = isDefault ? words.pay(stars) : button.text.replaceAll("XTR", "⭐️");
  const made = element("button", { type: "button", className: "pay" }, text);
  made.addEventListener("click", () => onPay(message, made));
  return made;
}
