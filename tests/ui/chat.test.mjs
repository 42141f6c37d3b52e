// The chat page in a real browser, against the whole system: what a person presses and sees.
import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";
import { Person } from "./person.mjs";
import { scene } from "./scene.mjs";
import { ENGLISH, RUSSIAN } from "./words.mjs";

const { CHAT_URL, CHROMIUM, SCREENSHOTS } = process.env;
const TIMEOUT = { timeout: 120_000 };
const complaints = [];
let browser, page;

before(async () => {
  await mkdir(SCREENSHOTS, { recursive: true });
  browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox"] });
  page = await browser.newPage({ viewport: { width: 1180, height: 860 }, locale: "en-GB" });
  page.on("console", (line) => line.type() === "error" && complaints.push(line.text()));
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("response", (answer) => answer.status() >= 400 && complaints.push(`${answer.status()} ${answer.url()}`));
  await page.goto(CHAT_URL);
});
after(() => browser?.close());

test("a person gets a picture from words", TIMEOUT, async () => {
  const alice = await Person.named(page, "Alice");
  await drawSomething(alice, ENGLISH);
});

test("a person gets their photo back changed", TIMEOUT, async () => {
  const alice = await Person.named(page, "Alice");
  const sent = await changePhoto(alice, ENGLISH);
  const changed = await alice.picture(2);
  assert.equal((changed.width > changed.height), (sent.width > sent.height));
  assert.notDeepEqual(changed.pixels, sent.pixels);
});

test("the same in Russian, side by side", TIMEOUT, async () => {
  const anna = await Person.add(page, { name: "Анна", language: "ru" });
  await drawSomething(anna, RUSSIAN);
  await screenshot("chat");
  await changePhoto(anna, RUSSIAN);
  await anna.picture(2);
  await screenshot("chat-edit");
});

test("a photo with a caption is an edit at once", TIMEOUT, async () => {
  const alice = await Person.named(page, "Alice");
  await alice.sendPhoto(await scene(page), { caption: ENGLISH.change });
  await alice.sees(ENGLISH.confirm);
  await alice.press(ENGLISH.cancel);
});

test("again draws again, and the original is a file", TIMEOUT, async () => {
  const anna = await Person.named(page, "Анна");
  await anna.press(RUSSIAN.original);
  await anna.node.locator(".message:not(.out) .document").waitFor();
  await anna.press(RUSSIAN.again);
  await anna.picture(3);
});

test("on a telephone the page is one chat", TIMEOUT, async () => {
  await page.setViewportSize({ width: 390, height: 844 });
  const alice = await Person.named(page, "Alice");
  await alice.node.locator("textarea").waitFor();
  await screenshot("chat-phone");
});

test("the page complained of nothing", () => assert.deepEqual(complaints, []));

// From Start to the picture; the message on which the person confirmed shows how it goes.
async function drawSomething(person, words) {
  await person.start();
  await person.sees(words.hello);
  await person.press(words.create);
  await person.sees(words.whichModel);
  await person.press("Z-Image");
  await person.sees(words.whatToDraw);
  await person.say(words.prompt);
  await person.sees(words.confirm);
  const story = person.watch(words.confirm, { last: words.done });
  await person.press(words.generate);
  assert.ok((await story).some((text) => text.includes(words.drawing)), await story);
  const picture = await person.picture(1);
  assert.ok(picture.width >= 512 && picture.height >= 512);
  await person.sees(words.prompt);
}

// From a photo to the changed one; returns how the photo looked.
async function changePhoto(person, words) {
  await person.sendPhoto(await scene(page));
  await person.sees(words.havePicture);
  await person.press(words.changePicture);
  await person.sees(words.whatToChange);
  await person.say(words.change);
  await person.sees(words.confirm);
  const story = person.watch(words.confirm, { last: words.done });
  await person.press(words.generate);
  await story;
  return person.ownPicture();
}

async function screenshot(name) {
  await page.waitForTimeout(600); // until what slides in has slid in
  await page.screenshot({ path: `${SCREENSHOTS}/${name}.png` });
}
