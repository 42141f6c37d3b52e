// One person's chat with the bot.
import { Line, putUser } from "./api.js";
import { askPayment, askUpload, showAlert, showPhoto } from "./dialog.js";
import { avatar, element } from "./dom.js";
import { History } from "./history.js";
import { isRussian, wordsFor } from "./words.js";

const ACTION_MS = 5500;
const TOAST_MS = 4500;
const PATIENCE_MS = 20000;

export class Chat {
  constructor(user, { onNews }) {
    this.user = user;
    this.onNews = onNews;
    this.state = { is_blocked: false, keyboard: [] };
    this.presses = new Map();
    this.answered = new Set();
    this.payments = new Map();
    this.settled = new Set();
    this.node = document.getElementById("chat").content.firstElementChild.cloneNode(true);
    this.node.dataset.chat = user.id;
    this.history = new History({
      list: this.find(".messages"),
      scroll: this.find(".scroll"),
      down: this.find(".down"),
      context: () => this.context(),
    });
    this.wire();
  }

  find = (selector) => this.node.querySelector(selector);

  get words() {
    return wordsFor(this.user.language_code);
  }

  context() {
    return {
      words: this.words,
      language: this.user.language_code,
      bot: this.bot?.first_name ?? "",
      onPay: (message, key) => this.pay(message, key),
      onPress: (message, button, key) => this.press(message, button, key),
      onCommand: (text) => this.say(text),
      onPhoto: showPhoto,
    };
  }

  // Talk to a bot from now on; none means that no bot has connected yet.
  async connect(bot) {
    this.bot = bot;
    this.line = bot ? new Line(this.user.id, bot.id) : null;
    await this.load();
  }

  async load() {
    if (this.line) {
      this.state = await this.line.show();
      this.history.replace(await this.line.messages());
    }
    this.dress();
  }

  // Show names, words and buttons as they now have to be.
  dress() {
    const { words, bot } = this;
    const name = bot?.first_name ?? "…";
    this.node.querySelectorAll(".bot-name").forEach((one) => (one.textContent = name));
    this.node.querySelectorAll(".bot-avatar").forEach((one) => avatar(one, { name }));
    this.find(".description").textContent = bot?.description || (bot ? words.nothing : words.waiting);
    this.find(".language").textContent = isRussian(this.user.language_code) ? "RU" : "EN";
    this.find(".language").title = words.language;
    this.find("textarea").placeholder = words.message;
    for (const [name, word] of [["attach", "attach"], ["menu", "commands"], ["send", "send"], ["down", "latest"]]) {
      this.find(`.${name}`).title = words[word];
    }
    this.find(".menu").hidden = !bot?.commands.length;
    this.dressFoot();
    this.rest();
  }

  dressFoot() {
    const { is_blocked: isBlocked, keyboard } = this.state;
    const isIdle = this.history.isEmpty || isBlocked;
    const start = this.find(".start");
    start.hidden = !isIdle || !this.line;
    start.textContent = isBlocked ? this.words.unblock : this.words.start;
    start.classList.toggle("danger", isBlocked);
    this.find(".empty").hidden = !this.history.isEmpty;
    this.find(".composer").hidden = isIdle;
    this.find(".block").hidden = this.history.isEmpty;
    this.find(".block").setAttribute("aria-pressed", String(isBlocked));
    this.find(".block").title = isBlocked ? this.words.unblock : this.words.block;
    this.find(".keyboard").hidden = isIdle || !keyboard.length;
    this.find(".keyboard").replaceChildren(...keyboard.map((row) => element("div", {}, ...row.map((key) => this.key(key)))));
    this.find(".send").disabled = !this.find("textarea").value.trim();
  }

  key({ text }) {
    const made = element("button", { type: "button" }, text);
    made.addEventListener("click", () => this.say(text));
    return made;
  }

  wire() {
    const input = this.find("textarea");
    input.addEventListener("input", () => this.typed());
    input.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        this.submit();
      }
    });
    input.addEventListener("paste", (event) => this.offer(event, event.clipboardData.files));
    this.find(".composer").addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit();
    });
    this.find(".start").addEventListener("click", () => this.start());
    this.find(".block").addEventListener("click", () => this.tell(this.state.is_blocked ? "unblock" : "block"));
    this.find(".language").addEventListener("click", () => this.switchLanguage());
    this.find(".menu").addEventListener("click", () => this.showCommands(this.find(".commands").hidden ? "/" : ""));
    this.find(".attach").addEventListener("click", () => this.find(".file").click());
    this.find(".file").addEventListener("change", () => this.upload([...this.find(".file").files]));
    this.wireDrop();
  }

  wireDrop() {
    const mark = (isOver) => this.node.classList.toggle("dropping", isOver);
    this.node.addEventListener("dragover", (event) => {
      event.preventDefault();
      mark(true);
    });
    this.node.addEventListener("dragleave", () => mark(false));
    this.node.addEventListener("drop", (event) => {
      mark(false);
      this.offer(event, event.dataTransfer.files);
    });
  }

  offer(event, files) {
    if (!files.length) return;
    event.preventDefault();
    this.upload([...files]);
  }

  typed() {
    const input = this.find("textarea");
    input.style.height = "auto";
    input.style.height = `${input.scrollHeight}px`;
    this.find(".send").disabled = !input.value.trim();
    this.showCommands(input.value);
  }

  showCommands(typed) {
    const found = /^\/\w*$/.test(typed) ? this.bot.commands.filter(({ command }) => command.startsWith(typed.slice(1))) : [];
    const rows = found.map(({ command, description }) => {
      const row = element("button", { type: "button" }, element("b", {}, `/${command}`), element("span", {}, description));
      row.addEventListener("click", () => {
        this.find("textarea").value = "";
        this.typed();
        this.say(`/${command}`);
      });
      return row;
    });
    this.find(".commands").replaceChildren(...rows);
    this.find(".commands").hidden = !rows.length;
  }

  submit() {
    const input = this.find("textarea");
    const text = input.value.trim();
    if (!text) return;
    input.value = "";
    this.typed();
    this.say(text);
  }

  start() {
    if (this.state.is_blocked) this.tell("unblock");
    else this.say("/start");
  }

  say = (text) => this.tell("say", text);

  async upload(files) {
    this.find(".file").value = "";
    if (!files.length) return;
    const choice = await askUpload(files, this.words);
    if (choice) await this.tell("upload", files, choice);
  }

  // Act as the person; what the sandbox has against it is shown, not thrown.
  async tell(action, ...rest) {
    try {
      return await this.line[action](...rest);
    } catch (error) {
      this.toast(error.message);
      return null;
    }
  }

  async press(message, button, key) {
    if (!button.callback_data || key.classList.contains("waiting")) return;
    key.classList.add("waiting");
    const rest = () => key.classList.remove("waiting");
    setTimeout(rest, PATIENCE_MS);
    const query = await this.tell("press", message.message_id, button.callback_data);
    // The answer may have overtaken the response that tells the press's id.
    if (!query || this.answered.has(query.callback_query_id)) rest();
    else this.presses.set(query.callback_query_id, rest);
  }

  async pay(message, key) {
    if (key.classList.contains("waiting")) return;
    const { stars } = (this.state = await this.line.show());
    const agreed = await askPayment(message.invoice, { bot: this.bot.first_name, balance: stars, words: this.words });
    if (!agreed) return;
    key.classList.add("waiting");
    const rest = () => key.classList.remove("waiting");
    const payment = await this.line.pay(message.message_id).catch((error) => this.explain(error.message));
    const id = payment?.pre_checkout_query_id;
    // The end of the payment may have overtaken the response that tells its id.
    if (!payment || this.settled.has(id)) rest();
    else this.payments.set(id, rest);
  }

  explain = (error) => showAlert(this.bot.first_name, this.words.unpaid[error] ?? error);

  async switchLanguage() {
    const language = isRussian(this.user.language_code) ? "en" : "ru";
    await putUser({ ...this.user, language_code: language });
  }

  rename(user) {
    if (JSON.stringify(user) === JSON.stringify(this.user)) return;
    this.user = user;
    this.history.render({ afresh: true });
    this.dress();
  }

  receive(event, data) {
    this[`on_${event}`]?.(data);
  }

  on_message(message) {
    this.history.put(message);
    if (message.from.is_bot) this.onNews(this);
    this.rest();
    this.refresh();
  }

  on_edit(message) {
    this.history.put(message);
  }

  on_delete({ message_id: id }) {
    this.history.remove(id);
    this.dressFoot();
  }

  on_chat({ is_blocked: isBlocked }) {
    this.state.is_blocked = isBlocked;
    this.dressFoot();
  }

  on_action({ action }) {
    const status = this.find(".status");
    status.textContent = this.words.actions[action] ?? action.replaceAll("_", " ");
    status.classList.add("busy");
    clearTimeout(this.resting);
    this.resting = setTimeout(() => this.rest(), ACTION_MS);
  }

  on_answer({ callback_query_id: id, text, show_alert: isAlert }) {
    this.presses.get(id)?.();
    this.answered.add(id);
    if (text && isAlert) showAlert(this.bot.first_name, text);
    else if (text) this.toast(text);
  }

  on_payment({ pre_checkout_query_id: id, state, error }) {
    if (["thinking", "asked", "approved"].includes(state)) return;
    this.settled.add(id);
    this.payments.get(id)?.();
    if (error) this.explain(error);
  }

  async refresh() {
    this.dressFoot();
    this.state = await this.line.show();
    this.dressFoot();
  }

  rest() {
    const status = this.find(".status");
    status.classList.remove("busy");
    status.textContent = this.bot ? `${this.words.bot} · ${this.user.first_name}` : this.words.waiting;
  }

  toast(text) {
    const made = element("div", { className: "toast" }, text);
    this.find(".toasts").append(made);
    setTimeout(() => made.remove(), TOAST_MS);
  }
}
