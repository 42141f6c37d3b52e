// The page: people, their chats, and the stream of what happens.
import { listBots, listUsers, putUser, watch } from "./api.js";
import { Chat } from "./chat.js";
import { askPerson } from "./dialog.js";
import { avatar, element } from "./dom.js";
import { isRussian } from "./words.js";

const BOT_CHECK_MS = 4000;
const CHAT_EVENTS = ["message", "edit", "delete", "action", "answer", "payment", "chat"];
const chats = new Map();
let selected = null;

async function findBot(language) {
  return (await listBots(language))[0] ?? null;
}

function firstPerson() {
  const russian = isRussian(navigator.language);
  return putUser({ first_name: russian ? "Алиса" : "Alice", language_code: russian ? "ru" : "en" });
}

async function syncPeople() {
  const users = await listUsers();
  if (!users.length) users.push(await firstPerson());
  for (const [id, chat] of chats) {
    if (!users.some((user) => user.id === id)) {
      chat.node.remove();
      chats.delete(id);
    }
  }
  for (const user of users) await syncPerson(user);
  if (!chats.has(selected)) selected = users[0].id;
  showTabs();
}

async function syncPerson(user) {
  if (chats.has(user.id)) {
    chats.get(user.id).rename(user);
    return;
  }
  const chat = new Chat(user, { onNews });
  chats.set(user.id, chat);
  document.querySelector(".chats").append(chat.node);
  await chat.connect(await findBot(user.language_code));
}

function showTabs() {
  const tabs = [...chats.values()].map(({ user, node }) => {
    const face = avatar(element("span", { className: "avatar" }), { id: user.id, name: user.first_name });
    const tab = element("button", { className: "tab", type: "button", role: "tab" }, face, user.first_name);
    tab.dataset.chat = user.id;
    tab.ariaSelected = String(user.id === selected);
    tab.addEventListener("click", () => select(user.id));
    node.classList.toggle("shown", user.id === selected);
    return tab;
  });
  document.querySelector(".tabs").replaceChildren(...tabs);
}

function select(id) {
  selected = id;
  showTabs();
  const chat = chats.get(id);
  chat.node.scrollIntoView({ behavior: "smooth", inline: "center" });
  chat.history.toEnd();
}

function onNews(chat) {
  if (chat.user.id === selected) return;
  document.querySelector(`.tab[data-chat="${chat.user.id}"]`)?.setAttribute("data-unread", "");
}

// Bots come, go and change their names; nothing tells the page but asking.
async function checkBots() {
  for (const chat of chats.values()) {
    const bot = await findBot(chat.user.language_code);
    if (bot?.id !== chat.bot?.id) await chat.connect(bot);
    else if (JSON.stringify(bot) !== JSON.stringify(chat.bot)) {
      chat.bot = bot;
      chat.dress();
    }
  }
}

function listen() {
  const events = watch();
  for (const name of CHAT_EVENTS) {
    events.addEventListener(name, ({ data }) => {
      const body = JSON.parse(data);
      const chat = chats.get(body.chat_id);
      if (chat?.bot?.id === body.bot_id) chat.receive(name, body);
    });
  }
  const reload = async () => {
    await syncPeople();
    await Promise.all([...chats.values()].map((chat) => chat.load()));
  };
  events.addEventListener("ready", reload);
  events.addEventListener("reset", reload);
  events.addEventListener("users", syncPeople);
}

document.querySelector(".add").addEventListener("click", async () => {
  const person = await askPerson();
  if (!person) return;
  const user = await putUser(person);
  await syncPeople();
  select(user.id);
});

listen();
setInterval(() => checkBots().catch(() => {}), BOT_CHECK_MS);
