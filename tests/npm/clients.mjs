// SPDX-License-Identifier: Apache-2.0
// clients.mjs URL EMBED: the clients that people have, against a server of a model
// with a chat template, and one of a model for embeddings: openai, ai with @ai-sdk/openai-compatible,
// @langchain/openai, ollama, and a reader of metrics.
import assert from "node:assert";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(process.cwd() + "/package.json");
const load = (name) => import(pathToFileURL(require.resolve(name)));
const url = process.argv[2];
const baseURL = `${url}/v1`;
const messages = [{ role: "user", content: "Tell me about the river." }];
const request = { model: "m", messages, max_tokens: 12, temperature: 0 };

async function openai() {
  const OpenAI = (await load("openai")).default;
  const client = new OpenAI({ baseURL, apiKey: "none", maxRetries: 0 });
  assert((await client.models.list()).data[0].id);
  const whole = await client.chat.completions.create(request);
  const text = whole.choices[0].message.content;
  assert(text.length > 0 && whole.usage.completion_tokens === 12);
  let joined = "", usage = null;
  const stream = await client.chat.completions.create({
    ...request, stream: true, stream_options: { include_usage: true } });
  for await (const event of stream) {
    joined += event.choices[0]?.delta?.content ?? "";
    usage = event.usage ?? usage;
  }
  assert.equal(joined, text);
  assert.equal(usage.completion_tokens, 12);
  const completion = await client.completions.create({
    model: "m", prompt: "The town", max_tokens: 4, logprobs: 2 });
  assert.equal(completion.choices[0].logprobs.tokens.length, 4);
  await assert.rejects(client.chat.completions.create({ ...request, n: 99 }),
    (error) => error.status === 400 && error.param === "n");
  await assert.rejects(client.chat.completions.create({
    ...request, messages: [{ role: "user", content: "word ".repeat(9999) }] }),
    (error) => error.code === "context_length_exceeded");
  const left = await client.chat.completions.create({
    ...request, max_tokens: 400, stream: true });
  for await (const event of left) {
    assert(event.id);
    break; // which closes the connection
  }
}

async function aiSdk() {
  const { generateText, streamText } = await load("ai");
  const { createOpenAICompatible } = await load("@ai-sdk/openai-compatible");
  const model = createOpenAICompatible({ name: "clsa", baseURL })("m");
  const options = { model, messages, maxOutputTokens: 12, temperature: 0,
    maxRetries: 0 };
  const whole = await generateText(options);
  assert(whole.text.length > 0);
  assert.equal(whole.finishReason, "length");
  let joined = "";
  for await (const part of streamText(options).textStream)
    joined += part;
  assert.equal(joined, whole.text);
}

async function langchain() {
  const { ChatOpenAI } = await load("@langchain/openai");
  const model = new ChatOpenAI({ model: "m", apiKey: "none", temperature: 0,
    maxTokens: 12, maxRetries: 0, configuration: { baseURL } });
  const whole = await model.invoke("Tell me about the river.");
  assert(whole.content.length > 0);
  let joined = "";
  for await (const part of await model.stream("Tell me about the river."))
    joined += part.content;
  assert.equal(joined, whole.content);
}

async function ollama() {
  const { Ollama } = await load("ollama");
  const client = new Ollama({ host: url });
  const { models } = await client.list();
  const model = models[0].name;
  assert((await client.show({ model })).model_info["general.architecture"]);
  assert.equal((await client.ps()).models.length, 1);
  assert((await client.version()).version);
  const options = { num_predict: 12, temperature: 0 };
  const whole = await client.chat({ model, messages, options });
  assert(whole.message.content.length > 0 && whole.eval_count === 12);
  let joined = "", last;
  const stream = await client.chat({ model, messages, options, stream: true });
  for await (const part of stream) {
    joined += part.message.content;
    last = part;
  }
  assert.equal(joined, whole.message.content);
  assert(last.done && last.done_reason === "length");
  const text = await client.generate({ model, prompt: messages[0].content,
    options });
  assert.equal(text.response, whole.message.content);
  await assert.rejects(client.chat({ model, messages, format: "json" }),
    (error) => error.status_code === 400 && error.message.includes("format"));
  const left = await client.generate({ model, prompt: "Once", stream: true });
  for await (const part of left) {
    assert.equal(part.done, false);
    break;
  }
  client.abort();
}

async function embeddings() {
  const OpenAI = (await load("openai")).default;
  const { Ollama } = await load("ollama");
  const baseURL = `${process.argv[3]}/v1`;
  const client = new OpenAI({ baseURL, apiKey: "none", maxRetries: 0 });
  const input = ["The river", "The town"];
  const { data } = await client.embeddings.create({ model: "m", input });
  assert.equal(data.length, 2);
  const theirs = await new Ollama({ host: process.argv[3] }).embed({
    model: "m", input });
  assert.equal(theirs.embeddings.length, 2);
  data.forEach((one, i) => one.embedding.forEach((x, j) =>
    assert(Math.abs(x - theirs.embeddings[i][j]) < 1e-6)));
}

async function metrics() {
  const parse = (await load("parse-prometheus-text-format")).default;
  const text = await (await fetch(`${url}/metrics`)).text();
  const families = parse(text);
  const find = (name) => families.find((family) => family.name === name);
  assert(Number(find("clsa_generation_tokens_total").metrics[0].value) > 0);
  assert.equal(find("clsa_requests_total").type, "COUNTER");
  assert(families.every((family) => family.help));
}

for (const check of [openai, aiSdk, langchain, ollama, embeddings,
  metrics]) {
  await check();
  console.log(`${check.name}: passed`);
}
