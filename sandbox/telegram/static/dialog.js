// The questions the page asks, and the alerts a bot shows.
import { element } from "./dom.js";

const find = (id) => document.getElementById(id);
const IS_PICTURE = /^image\/(jpeg|png|webp|gif|bmp)$/;

function asked(dialog) {
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "ok"), { once: true });
  });
}

export async function askPerson() {
  const dialog = find("person");
  const form = dialog.querySelector("form");
  form.reset();
  return (await asked(dialog)) ? Object.fromEntries(new FormData(form)) : null;
}

// Shows what is about to be sent; returns how to send it, or null.
export async function askUpload(files, words) {
  const dialog = find("upload");
  const form = dialog.querySelector("form");
  form.reset();
  const arePictures = files.every((file) => IS_PICTURE.test(file.type));
  const previews = files.map((file) => preview(file));
  const title = () => (form.as_file.checked ? words.sendFiles : words.sendPhotos)(files.length);
  form.as_file.checked = !arePictures;
  form.as_file.onchange = () => (dialog.querySelector("h2").textContent = title());
  dialog.querySelector("h2").textContent = title();
  dialog.querySelector(".as-file").hidden = !arePictures;
  dialog.querySelector(".as-file span").textContent = words.asFile;
  dialog.querySelector(".previews").replaceChildren(...previews);
  form.caption.placeholder = words.caption;
  form.caption.onkeydown = (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      dialog.close("ok");
    }
  };
  const [cancel, send] = dialog.querySelectorAll("menu button");
  cancel.textContent = words.cancel;
  send.textContent = words.send;
  const answer = asked(dialog);
  form.caption.focus();
  const isSent = await answer;
  previews.forEach((one) => one.src && URL.revokeObjectURL(one.src));
  return isSent ? { caption: form.caption.value, asFile: form.as_file.checked } : null;
}

function preview(file) {
  return IS_PICTURE.test(file.type)
    ? element("img", { src: URL.createObjectURL(file), alt: file.name })
    : element("div", { className: "name" }, file.name);
}

// Shows what an invoice costs and what the person has; returns whether they pay.
export function askPayment(invoice, { bot, balance, words }) {
  const dialog = find("payment");
  const [cancel, pay] = dialog.querySelectorAll("menu button");
  const [question, has] = dialog.querySelectorAll("p");
  const stars = invoice.total_amount;
  dialog.querySelector("h2").textContent = invoice.title;
  question.textContent = words.payQuestion({ title: invoice.title, stars, bot });
  has.textContent = words.balance(balance);
  cancel.textContent = words.cancel;
  pay.textContent = words.pay(stars);
  return asked(dialog);
}

export function showAlert(title, text) {
  const dialog = find("alert");
  dialog.querySelector("h2").textContent = title;
  dialog.querySelector("p").textContent = text;
  if (!dialog.open) dialog.showModal();
}

export function showPhoto(source) {
  const dialog = find("viewer");
  dialog.querySelector("img").src = source;
  dialog.showModal();
}
