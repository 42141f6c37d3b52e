// Buying credits in the chat page, on a telephone, in both languages.
import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";
import { Person } from "./person.mjs";

const { SHOP_URL, CHROMIUM, SCREENSHOTS } = process.env;
const TIMEOUT = { timeout: 90_000 };
const complaints = [];
let browser;

const ENGLISH = {
  language: "en", name: "Olga", missing: "more credits are needed", offer: "Top up: +100 credits", thanks: "the payment has arrived",
  back: "Back to the draft", receipts: "Press one to see it", day: "29 Nov 2026", payment: "Payment: stx", price: "You have 88 credits.", balance: "Balance",
  history: "History", line: "−12 · GPT", choose: "Choose how many", five: "5. If a payment", support: "Write to @example_help",
};
const RUSSIAN = {
  language: "ru", name: "Ольга", missing: "Не хватает", offer: "Пополнить: +100 кредитов", thanks: "платёж получен",
  back: "Вернуться к черновику", receipts: "Нажмите на нужную", day: "29.11.2026", payment: "Платёж: stx", price: "На балансе 88 кредитов.", balance: "Баланс",
  history: "История", line: "−12 · GPT", choose: "Выберите, сколько нужно", five: "5. Если платёж", support: "Напишите: @example_help",
};

before(async () => {
  await mkdir(SCREENSHOTS, { recursive: true });
  browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox"] });
});
after(() => browser?.close());

async function customer({ name, language }) {
  const page = await browser.newPage({ viewport: { width: 390, height: 844 }, locale: "en-GB" });
  page.on("console", (line) => line.type() === "error" && complaints.push(line.text()));
  page.on("pageerror", (error) => complaints.push(error.message));
  await page.goto(SHOP_URL);
  const person = await Person.add(page, { name, language });
  await person.start();
  return { page, person };
}

async function shoot(page, name) {
  await page.waitForTimeout(600); // until what slides in has slid in
  await page.screenshot({ path: `${SCREENSHOTS}/${name}.png` });
}

// No label is cut off, and nothing is wider than the telephone.
async function fits(page) {
  const wide = await page.evaluate(() => [...document.querySelectorAll(".buttons button")].filter((one) => one.scrollWidth > one.clientWidth + 1).map((one) => one.textContent));
  assert.deepEqual(wide, []);
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
}

for (const words of [ENGLISH, RUSSIAN]) {
  test(`what is missing is bought, and the draft waits: ${words.language}`, TIMEOUT, async () => {
    const { page, person } = await customer(words);
    await person.say("GPT Image");
    await person.press("GPT Image 2");
    await person.say(words.language === "ru" ? "Маяк в тумане" : "A lighthouse in the fog");
    await person.sees(words.missing);
    await person.press(words.offer);
    await person.node.locator("button.pay").last().click();
    await page.locator("dialog#payment button.primary").click();
    await person.sees(words.thanks);
    await person.sees(words.price); // the draft comes by itself, one press from its job
    await person.press(words.back);
    await person.sees(words.price);
    await fits(page);
    await person.say("/topup");
    await person.sees(words.choose);
    await shoot(page, `money-topup-${words.language}`);
    await person.say("/balance");
    await person.press(words.history);
    await person.sees(words.line);
    await person.press(words.balance);
    await person.node.locator(".message:not(.out)", { hasText: words.line }).waitFor({ state: "detached" });
    await shoot(page, `money-balance-${words.language}`);
    await person.say("/receipts");
    await person.sees(words.receipts);
    await person.press(words.day);
    await person.sees(words.payment);
    await shoot(page, `money-receipt-${words.language}`);
    await person.say("/terms");
    await person.sees(words.five);
    await person.say("/paysupport");
    await person.sees(words.support);
    await fits(page);
    await page.close();
  });
}

test("the page complained of nothing about money", () => assert.deepEqual(complaints, []));
