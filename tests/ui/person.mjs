// One person in the chat page: what they see, and what they do.
const PATIENCE = { timeout: 30_000 };

export class Person {
  constructor(page, node) {
    this.page = page;
    this.node = node;
  }

  // Adds somebody with this name and language.
  static async add(page, { name, language }) {
    await page.locator("button.add").click();
    const dialog = page.locator("dialog#person");
    await dialog.locator("[name=first_name]").fill(name);
    await dialog.locator(`[value=${language}]`).check();
    await dialog.locator("button.primary").click();
    return Person.named(page, name);
  }

  // Finds somebody by the tab with their name.
  static async named(page, name) {
    const tab = page.locator(".tab", { hasText: name });
    await tab.click();
    const id = await tab.getAttribute("data-chat");
    return new Person(page, page.locator(`.chat[data-chat="${id}"]`));
  }

  async start() {
    await this.node.locator("button.start").click(PATIENCE);
  }

  async say(text) {
    await this.node.locator("textarea").fill(text);
    await this.node.locator("textarea").press("Enter");
  }

  async sendPhoto(file, { caption = "" } = {}) {
    await this.node.locator("input.file").setInputFiles(file);
    const dialog = this.page.locator("dialog#upload");
    await dialog.locator("[name=caption]").fill(caption);
    await dialog.locator("button.primary").click();
  }

  // Waits for a message of the bot's that says this, and returns the last one.
  async sees(text) {
    const message = this.node.locator(".message:not(.out)", { hasText: text }).last();
    await message.waitFor(PATIENCE);
    return message;
  }

  // Presses the last button that says this.
  async press(label) {
    const button = this.node.locator(".buttons button", { hasText: label }).last();
    await button.click(PATIENCE);
  }

  // Returns every text that a message shows until it says `last`.
  async watch(text, { last }) {
    const handle = await this.node.locator(".messages").elementHandle();
    return this.page.evaluate(watchMessage, { list: handle, text, last, patience: PATIENCE.timeout });
  }

  // Waits for the nth picture from the bot, loaded, and returns its size and its pixels' digest.
  async picture(number) {
    const image = this.node.locator(".message:not(.out) .photo img").nth(number - 1);
    await image.waitFor(PATIENCE);
    return image.evaluate(measure);
  }

  // Waits for the last video or song that came, under this title, and returns what would be played.
  async player(kind, { title = "", count = 1 } = {}) {
    const players = this.node.locator(`.message:not(.out) .${kind}`, { hasText: title });
    await players.nth(count - 1).waitFor(PATIENCE);
    return players.last().evaluate(probe);
  }

  // Waits until nothing is under way any more: no message can be stopped.
  async waitsForNothing(stop) {
    await this.node.locator(".buttons button", { hasText: stop }).first().waitFor({ ...PATIENCE, state: "detached" });
  }

  // Waits for a file from the bot and returns its name.
  async document() {
    const file = this.node.locator(".message:not(.out) a.document").last();
    await file.waitFor(PATIENCE);
    return file.getAttribute("download");
  }

  // Returns the same of the last picture that the person sent.
  async ownPicture() {
    return this.node.locator(".message.out .photo img").last().evaluate(measure);
  }
}

// Runs in the page: notes each new text of the message that now holds `text`.
function watchMessage({ list, text, last, patience }) {
  const seen = [];
  const index = [...list.children].findLastIndex((item) => item.textContent.includes(text));
  return new Promise((resolve, reject) => {
    const look = () => {
      const now = list.children[index]?.querySelector(".body")?.textContent ?? "";
      if (now && now !== seen.at(-1)) seen.push(now);
      if (!now.includes(last)) return;
      observer.disconnect();
      resolve(seen);
    };
    const observer = new MutationObserver(look);
    observer.observe(list, { childList: true, subtree: true, characterData: true });
    setTimeout(() => reject(new Error(`not seen: ${last}; but: ${seen.join(" | ")}`)), patience);
    look();
  });
}

// Runs in the page: how large a picture is, and how its colours are spread.
async function measure(image) {
  await image.decode();
  const side = 16;
  const canvas = Object.assign(document.createElement("canvas"), { width: side, height: side });
  const brush = canvas.getContext("2d");
  brush.drawImage(image, 0, 0, side, side);
  const pixels = [...brush.getImageData(0, 0, side, side).data];
  return { width: image.naturalWidth, height: image.naturalHeight, pixels };
}

// Runs in the page: how long a video or a song plays, how wide it is, and whether it has a still.
async function probe(player) {
  const media = player.querySelector("video, audio");
  if (media.readyState < 1) await new Promise((done) => media.addEventListener("loadedmetadata", done, { once: true }));
  const hasStill = Boolean(media.poster || player.querySelector("img"));
  return { seconds: media.duration, width: media.videoWidth ?? 0, hasStill };
}
