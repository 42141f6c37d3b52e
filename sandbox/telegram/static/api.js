// The sandbox's own HTTP API, as the page uses it.

async function request(path, options) {
  const response = await fetch(`/sandbox${path}`, options);
  const body = response.status === 204 ? null : await response.json();
  if (!response.ok) throw new Error(String(body.detail));
  return body;
}

const post = (path, body) =>
  request(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body ?? {}),
  });

export const listBots = async (language) => (await request(`/bots?language=${language}`)).bots;
export const listUsers = async () => (await request("/users")).users;
export const putUser = (user) => post("/users", user);
export const fileLink = (file) => `/sandbox/files/${encodeURIComponent(file.file_unique_id)}`;
export const watch = () => new EventSource("/sandbox/events");

// One chat of a user with a bot.
export class Line {
  constructor(userId, botId) {
    this.path = (tail = "") => `/chats/${userId}${tail}?bot=${botId}`;
  }

  show = () => request(this.path());
  messages = async () => (await request(this.path("/messages"))).messages;
  say = (text) => post(this.path("/messages"), { text });
  press = (messageId, data) => post(this.path("/press"), { message_id: messageId, data });
  pay = (messageId) => post(this.path("/pay"), { message_id: messageId });
  block = () => post(this.path("/block"));
  unblock = () => post(this.path("/unblock"));

  upload(files, { caption, asFile }) {
    const form = new FormData();
    form.append("caption", caption);
    files.forEach((file, number) => form.append(`${asFile ? "document" : "photo"}${number}`, file));
    return request(this.path("/messages"), { method: "POST", body: form });
  }
}
