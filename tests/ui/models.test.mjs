// Every kind of model on a telephone, in both languages: what is chosen, asked, priced and sent.
import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import { chromium } from "playwright-core";
import { MODELS } from "./model_words.mjs";
import { Person } from "./person.mjs";
import { scene } from "./scene.mjs";

const { CHAT_URL, CHROMIUM, SCREENSHOTS, SCRATCH } = process.env;
const PHONE = { width: 390, height: 844 };
const TIMEOUT = { timeout: 60_000 };
const KEPT = ["en-shelf", "ru-dialogue-review", "en-video", "ru-songs"];
const complaints = [];
let browser;

before(async () => {
  await Promise.all([SCREENSHOTS, SCRATCH].map((folder) => mkdir(folder, { recursive: true })));
  // Before any page opens: one that finds nobody makes up a person of its own.
  for (const words of MODELS) await addUser(words);
  browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox"] });
});
after(() => browser?.close());

describe("on a telephone", { concurrency: true }, () => {
  for (const words of MODELS) describe(words.language, { concurrency: 1 }, () => walk(words));
});

test("the pages complained of nothing", () => assert.deepEqual(complaints, []));

async function addUser({ name, language }) {
  const body = JSON.stringify({ first_name: name, language_code: language });
  const headers = { "Content-Type": "application/json" };
  const answer = await fetch(`${CHAT_URL}/sandbox/users`, { method: "POST", headers, body });
  assert.ok(answer.ok, await answer.text());
}

// One person's way through all of it.
function walk(words) {
  let page, person;
  const seen = (name, { foreign = words.foreign } = {}) =>
    screen(person, { name: `${words.language}-${name}`, foreign });

  before(async () => {
    page = await browser.newPage({ viewport: PHONE, deviceScaleFactor: 2, locale: "en-GB" });
    page.on("pageerror", (error) => complaints.push(error.message));
    page.on("response", (answer) => answer.status() >= 400 && complaints.push(`${answer.status()} ${answer.url()}`));
    await page.goto(CHAT_URL);
    person = await Person.named(page, words.name);
    await person.start();
  });

  test("a purpose offers its cheapest, fastest and best, and all", TIMEOUT, async () => {
    await person.sees(words.hello);
    await seen("purposes");
    await person.press(words.makeVideo);
    await person.press(words.videoFromWords);
    await person.sees(words.marks[0]);
    const text = await seen("shelf");
    for (const mark of words.marks) assert.ok(text.includes(mark), text);
    await person.press(words.allModels);
    await person.sees("Kling");
    await seen("all-models");
  });

  test("a word finds models, and a card says what one costs", TIMEOUT, async () => {
    await person.say("kling");
    await person.sees(words.found);
    await seen("found");
    await person.press("Kling 3.0 Turbo");
    await person.sees(words.whatHappens);
    const card = await seen("card");
    assert.match(card, words.fromCredits);
    await person.press(words.cancel);
  });

  test("a dialogue is asked line by line, priced and spoken", TIMEOUT, async () => {
    await person.say(words.dialogueModel);
    await person.press(`🗣 ${words.dialogueModel}`);
    for (const [line, voice] of words.lines) {
      await person.sees(words.lineText);
      await person.say(line);
      await person.sees(words.voice);
      await person.press(voice);
      await person.sees(line);
      if (line === words.lines[0][0]) await person.press(words.another);
    }
    await seen("dialogue-lines");
    await person.press(words.done);
    await person.sees(words.ready);
    const review = await seen("dialogue-review");
    for (const told of [words.lines[0][0], words.lines[1][0], words.priceOfDialogue]) assert.ok(review.includes(told), review);
    await person.press(words.create);
    const player = await person.player("song", { title: words.lines[0][0] });
    assert.ok(player.seconds > 0.5, JSON.stringify(player));
    await person.waitsForNothing(words.stop);
    await seen("speech");
  });

  test("a form takes files and says which it has", TIMEOUT, async () => {
    await person.say("infinitetalk");
    await person.press("👄 InfiniteTalk");
    await person.sees(words.how);
    await person.sendPhoto(await scene(page));
    await person.sees(words.hasPicture);
    await person.say(words.calmly);
    await person.sees(words.recording);
    await seen("files");
    await person.press(words.cancel);
  });

  test("a video is reviewed with its price, and plays", TIMEOUT, async () => {
    await person.say("seedance 1.5");
    await person.press("🎬 Seedance 1.5 Pro");
    await person.sees(words.whatHappens);
    await person.say(words.boat);
    await person.say("4");
    await person.sees(words.ready);
    const review = await seen("review");
    for (const told of words.priceOfVideo) assert.ok(review.includes(told), review);
    await person.press(words.create);
    const film = await person.player("clip");
    assert.ok(film.seconds > 0.5 && film.width > 0 && film.hasStill, JSON.stringify(film));
    await person.waitsForNothing(words.stop);
    await seen("video");
  });

  test("a song comes in two versions with covers", TIMEOUT, async () => {
    await person.say("/start");
    for (const label of [words.music, words.writeSong, /^Suno$/]) await person.press(label);
    for (const question of [words.ownWords, words.noSinging]) {
      await person.sees(question);
      await person.press(words.no);
    }
    await person.say(words.lullaby);
    await person.press(words.style);
    await person.say(words.folk);
    await person.sees(words.ready);
    await seen("song-review");
    await person.press(words.create);
    const second = await person.player("song", { title: words.songTitle, count: 2 });
    assert.ok(second.seconds > 0.5 && second.hasStill, JSON.stringify(second));
    await person.waitsForNothing(words.stop);
    await seen("songs");
  });

  test("words come as a message, and as a file that says what it is", TIMEOUT, async () => {
    await person.say(words.lyrics);
    await person.press(`✍️ ${words.lyricsModel}`);
    await person.say(words.theme);
    await person.press(words.create);
    await person.sees(/\[Verse\](?! (and|и) )/); // a hint says "[Verse] and [Chorus]"
    await person.waitsForNothing(words.stop);
    await seen("lyrics", { foreign: words.sung });
    await person.press(words.asFile);
    const file = await person.document();
    assert.match(file, /\.(txt|json)$/);
    assert.ok(file.includes(words.lyricsFile), file);
    await seen("document");
  });
}

// Looks at the screen as a person does: all in view, all in their language; returns the last message.
async function screen(person, { name, foreign }) {
  const { page } = person;
  await page.waitForTimeout(350); // until what slides in has slid in
  const path = `${KEPT.includes(name) ? SCREENSHOTS : SCRATCH}/phone-${name}.png`;
  await page.screenshot({ path });
  const { text, outside, width } = await person.node.evaluate(look);
  assert.ok(width <= PHONE.width, `${name} is ${width} pixels wide`);
  assert.deepEqual(outside, [], `${name}: this is cut off`);
  assert.doesNotMatch(text, /[a-z]+_[a-z]+|\{\w*\}|undefined|None\b/, `${name} shows what is not for people`);
  assert.doesNotMatch(text, foreign, `${name} is not all in one language`);
  return text;
}

// Runs in the page: the text of the last message, and what does not fit.
function look(chat) {
  const messages = [...chat.querySelectorAll(".message:not(.out)")];
  const parts = messages.flatMap((one) => [...one.querySelectorAll("button, a, b, .body, .song, .clip")]);
  const isCut = (part) => part.getBoundingClientRect().right > innerWidth || part.scrollWidth > part.clientWidth + 1;
  const outside = parts.filter((part) => getComputedStyle(part).display !== "inline" && isCut(part));
  return {
    text: messages.at(-1).innerText,
    outside: outside.map((part) => part.outerHTML.slice(0, 200)),
    width: document.documentElement.scrollWidth,
  };
}
