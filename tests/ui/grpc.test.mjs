// The contract through @grpc/grpc-js: a job from words to bytes, and what a refusal says.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, test } from "node:test";
import grpc from "@grpc/grpc-js";
import loader from "@grpc/proto-loader";

const { ATELIER_ADDRESS, ATELIER_TOKEN, PROTO_FOLDER, GOOGLE_PROTO_FOLDER } = process.env;
const NOBODY = "0198c0de-0000-7000-8000-000000000000";
const OPTIONS = { keepCase: false, longs: Number, enums: String, oneofs: true };
const INCLUDED = { ...OPTIONS, includeDirs: [PROTO_FOLDER, GOOGLE_PROTO_FOLDER] };
const contract = load("atelier/generation/v1/generation_service.proto").atelier.generation.v1;
const rpc = loader.loadSync(["google/rpc/status.proto", "google/rpc/error_details.proto"], INCLUDED);
let client;

before(() => {
  const interceptors = [authorized];
  const inTheClear = grpc.credentials.createInsecure();
  client = new contract.GenerationService(ATELIER_ADDRESS, inTheClear, { interceptors });
});
after(() => client.close());

test("a job goes from words to bytes", { timeout: 60_000 }, async () => {
  const { job } = await call("CreateJob", request({ prompt: "a lighthouse in a storm" }));
  assert.equal(job.state, "JOB_STATE_QUEUED");

  const updates = await collect(client.StreamJobUpdates({ jobId: job.id }));
  const jobs = updates.filter(({ update }) => update === "job").map((each) => each.job);
  const revisions = jobs.map(({ revision }) => revision);
  assert.deepEqual(revisions, revisions.map((_, index) => revisions[0] + index));
  assert.equal(jobs.at(-1).state, "JOB_STATE_SUCCEEDED");

  const done = await call("WaitJob", { jobId: job.id });
  assert.deepEqual(done.job, jobs.at(-1));

  const [media] = done.job.result.media;
  const [first, ...pieces] = await collect(client.DownloadMedia({ mediaId: media.id }));
  const data = Buffer.concat(pieces.map(({ data }) => data));
  assert.deepEqual(first.media, media);
  assert.equal(data.length, media.sizeBytes);
  assert.equal(createHash("sha256").update(data).digest("hex"), media.sha256);
});

test("a stream goes on after the revision named", async () => {
  const { job } = await call("CreateJob", request({ prompt: "a quiet sea" }));
  const whole = await collect(client.StreamJobUpdates({ jobId: job.id, afterRevision: 1 }));
  const last = whole.at(-1).job.revision;
  assert.deepEqual(await collect(client.StreamJobUpdates({ jobId: job.id, afterRevision: last })), []);
  await refused(collect(client.StreamJobUpdates({ jobId: job.id, afterRevision: last + 1 })), {
    code: grpc.status.OUT_OF_RANGE,
    reason: "REVISION_OUT_OF_RANGE",
  });
});

const REFUSALS = {
  "a missing prompt": { inputs: {}, fields: ["inputs.prompt"] },
  "a ratio that is not offered": {
    inputs: { prompt: "x", aspect_ratio: "7:5" },
    fields: ["inputs.aspect_ratio"],
  },
  "a misspelt field": { inputs: { promt: "x" }, fields: ["inputs.prompt", "inputs.promt"] },
};
for (const [name, { inputs, fields }] of Object.entries(REFUSALS)) {
  test(`${name} is a violation`, async () => {
    const { violations } = await refused(call("CreateJob", request(inputs)), {
      code: grpc.status.INVALID_ARGUMENT,
      reason: "INVALID_INPUTS",
    });
    assert.deepEqual(violations.map(({ field }) => field), fields);
    assert.ok(violations.every(({ description }) => description));
  });
}

test("an unknown model names the nearest", async () => {
  const { metadata } = await refused(call("GetModel", { modelId: "z-imgae" }), {
    code: grpc.status.NOT_FOUND,
    reason: "MODEL_NOT_FOUND",
  });
  assert.deepEqual(metadata, { model_id: "z-imgae", nearest: "z-image" });
});

test("an unknown job is not found", async () => {
  await refused(call("GetJob", { jobId: NOBODY }), {
    code: grpc.status.NOT_FOUND,
    reason: "JOB_NOT_FOUND",
  });
});

// Says in every call who calls.
function authorized(options, next) {
  return new grpc.InterceptingCall(next(options), {
    start(metadata, listener, start) {
      metadata.set("authorization", `Bearer ${ATELIER_TOKEN}`);
      start(metadata, listener);
    },
  });
}

function load(path) {
  return grpc.loadPackageDefinition(loader.loadSync(path, INCLUDED));
}

function request(inputs) {
  const fields = Object.entries(inputs).map(([name, text]) => [name, { stringValue: text }]);
  return { modelId: "z-image", inputs: { fields: Object.fromEntries(fields) } };
}

function call(method, message) {
  return new Promise((resolve, reject) => {
    client[method](message, (error, answer) => (error ? reject(error) : resolve(answer)));
  });
}

async function collect(stream) {
  const messages = [];
  for await (const message of stream) messages.push(message);
  return messages;
}

// Expects a refusal with this code and reason, and returns what its details say.
async function refused(promise, { code, reason }) {
  const error = await promise.then(() => assert.fail("it was not refused"), (error) => error);
  assert.equal(error.code, code);
  const status = unpack("Status", error.metadata.get("grpc-status-details-bin")[0]);
  assert.equal(status.code, code);
  const info = detail(status, "ErrorInfo");
  assert.equal(info.domain, "atelier.internal");
  assert.equal(info.reason, reason);
  return { metadata: info.metadata, violations: detail(status, "BadRequest")?.fieldViolations };
}

function detail(status, name) {
  const found = status.details.find((any) => any.type_url.endsWith(`google.rpc.${name}`));
  return found && unpack(name, found.value);
}

function unpack(name, bytes) {
  return rpc[`google.rpc.${name}`].deserialize(bytes);
}
