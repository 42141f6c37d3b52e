// Videos and songs as a phone shows them: a still with a button, a cover with a line that fills.
import { fileLink } from "./api.js";
import { element } from "./dom.js";

const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

export function clip(video, { words }) {
  const still = video.cover?.at(-1) ?? video.thumbnail;
  const ratio = Math.min(2.4, Math.max(0.62, video.width / video.height || 1));
  const options = { src: fileLink(video), preload: "metadata", playsInline: true };
  const film = element("video", { ...options, ...(still ? { poster: fileLink(still) } : {}) });
  const play = element("button", { className: "play", type: "button", title: words.play }, "▶");
  const length = video.duration ? element("span", { className: "length" }, clock(video.duration)) : null;
  const made = element("div", { className: "photo clip", style: { "--ratio": String(ratio) } }, film, play, length);
  play.addEventListener("click", () => {
    made.classList.add("playing");
    film.controls = true;
    film.play();
  });
  return made;
}

export function song(audio, { words }) {
  const sound = element("audio", { src: fileLink(audio), preload: "metadata" });
  const cover = audio.thumbnail ? element("img", { src: fileLink(audio.thumbnail), alt: "" }) : null;
  const sign = element("span", {}, "▶");
  const play = element("button", { className: "mark", type: "button", title: words.play }, cover, sign);
  const line = element("progress", { max: 1, value: 0 });
  const length = audio.duration ? clock(audio.duration) : "";
  const told = element("small", { className: "length" }, length);
  const named = [element("b", {}, audio.title ?? audio.file_name), element("small", {}, audio.performer ?? "")];
  const about = element("span", { className: "about" }, ...named, line);
  play.addEventListener("click", () => (sound.paused ? sound.play() : sound.pause()));
  for (const event of ["play", "pause", "ended"]) {
    sound.addEventListener(event, () => (sign.textContent = sound.paused ? "▶" : "❚❚"));
  }
  sound.addEventListener("timeupdate", () => {
    line.value = sound.currentTime / (sound.duration || 1);
    told.textContent = sound.currentTime ? clock(sound.currentTime) : length;
  });
  return element("div", { className: "document song" }, play, about, told, sound);
}
