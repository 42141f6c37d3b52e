// The chat page's Pay button, with a bot that is only as large as it takes to sell something.
import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";
import { Person } from "./person.mjs";

const { CHAT_URL, CHROMIUM, SCRATCH } = process.env;
const TIMEOUT = { timeout: 60_000 };
const TOKEN = "77:sells-things";
const complaints = [];
let browser, page, offset;

async function call(method, params = {}) {
  const options = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(params) };
  const body = await (await fetch(`${CHAT_URL}/bot${TOKEN}/${method}`, options)).json();
  assert.ok(body.ok, `${method}: ${body.description}`);
  return body.result;
}

// Waits for an update of one kind that fits and takes it, with everything before it.
async function next(kind, fits = () => true) {
  for (;;) {
    for (const update of await call("getUpdates", { offset, timeout: 10 })) {
      offset = update.update_id + 1;
      if (update[kind] && fits(update[kind])) return update[kind];
    }
  }
}

const offer = (chat, markup = {}) =>
  call("sendInvoice", {
    chat_id: chat,
    title: "100 credits",
    description: "Enough for ten pictures.",
    payload: "pack:100",
    currency: "XTR",
    prices: [{ label: "100 credits", amount: 100 }],
    ...markup,
  });

async function settle(answer) {
  const query = await next("pre_checkout_query");
  await call("answerPreCheckoutQuery", { pre_checkout_query_id: query.id, ...answer });
  return query;
}

async function confirm(person, label) {
  const dialog = page.locator("dialog#payment");
  await dialog.waitFor();
  assert.match(await dialog.locator("button.primary").textContent(), label);
  await dialog.locator("button.primary").click();
}

// Runs in the page: waits for every movement that has an end.
const hasSlidIn = () =>
  Promise.all(document.getAnimations().filter((one) => one.effect.getTiming().iterations !== Infinity).map((one) => one.finished));

before(async () => {
  await mkdir(SCRATCH, { recursive: true });
  await call("getMe");
  await call("setMyName", { name: "Shop" });
  browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox"] });
  page = await browser.newPage({ viewport: { width: 760, height: 720 }, locale: "en-GB" });
  page.on("console", (line) => line.type() === "error" && complaints.push(line.text()));
  page.on("pageerror", (error) => complaints.push(error.message));
  await page.goto(CHAT_URL);
});
after(() => browser?.close());

async function customer(name, language) {
  const person = await Person.add(page, { name, language });
  await person.start();
  const { chat } = await next("message", ({ text, from }) => text === "/start" && from.first_name === name);
  return { person, chat: chat.id };
}

test("a person pays, reads the receipt, and gets it back", TIMEOUT, async () => {
  const { person, chat } = await customer("Olga", "en");
  await offer(chat);
  await person.sees("Enough for ten pictures.");
  await person.press("Pay ⭐️ 100");
  await confirm(person, /^Pay ⭐️ 100$/);
  const query = await settle({ ok: true });
  assert.equal(query.total_amount, 100);
  await person.node.locator(".service", { hasText: "You paid ⭐️ 100 to Shop." }).waitFor();
  await person.node.locator("button.pay:not(.waiting)").waitFor();
  await page.evaluate(hasSlidIn);
  await page.screenshot({ path: `${SCRATCH}/invoice.png` });
  const { successful_payment: paid } = await next("message", (message) => message.successful_payment);
  await call("refundStarPayment", { user_id: chat, telegram_payment_charge_id: paid.telegram_payment_charge_id });
  await person.node.locator(".service", { hasText: "Shop returned ⭐️ 100 to you." }).waitFor();
});

test("a bot's no is read, and nothing is paid", TIMEOUT, async () => {
  const { person, chat } = await customer("Ольга", "ru");
  const pay = [[{ text: "Купить за XTR100", pay: true }]];
  await offer(chat, { reply_markup: { inline_keyboard: pay } });
  await person.press("Купить за ⭐️100");
  await page.locator("dialog#payment", { hasText: "Ваш баланс: ⭐️ 10000" }).waitFor();
  await confirm(person, /^Заплатить ⭐️ 100$/);
  await settle({ ok: false, error_message: "Сейчас не продаём." });
  const alert = page.locator("dialog#alert");
  await alert.getByText("Сейчас не продаём.").waitFor();
  await alert.locator("button").click();
  assert.equal(await person.node.locator(".service").count(), 0);
  await person.node.locator("button.pay:not(.waiting)").waitFor();
});

test("a person without Stars is told so, and one who cancels pays nothing", TIMEOUT, async () => {
  const { person, chat } = await customer("Pia", "en");
  const poor = { id: chat, stars: 99 };
  await fetch(`${CHAT_URL}/sandbox/users`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(poor) });
  await offer(chat);
  await person.press("Pay ⭐️ 100");
  await page.locator("dialog#payment menu button").first().click();
  await person.press("Pay ⭐️ 100");
  await page.locator("dialog#payment", { hasText: "Your balance: ⭐️ 99" }).waitFor();
  complaints.length = 0;
  await confirm(person, /^Pay ⭐️ 100$/);
  const alert = page.locator("dialog#alert");
  await alert.getByText("You have too few Stars.").waitFor();
  await alert.locator("button").click();
  // The browser itself writes the 409 into its console.
  assert.deepEqual(complaints.splice(0).filter((line) => !line.includes("409")), []);
  const { payments } = await (await fetch(`${CHAT_URL}/sandbox/payments?bot=77`)).json();
  assert.equal(payments.filter(({ user_id: id }) => id === chat).length, 0);
});

test("the page complained of nothing about payments", () => assert.deepEqual(complaints, []));
