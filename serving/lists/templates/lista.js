"use strict";
const at = (id) => document.getElementById(id);
const form = at("form"), state = at("state"), bar = at("bar"), result = at("result");
const texts = document.body.dataset;

function fill(text, facts) {
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in facts ? facts[name] : whole));
}

function rows(table, lines) {
  const body = at(table).tBodies[0];
  body.replaceChildren();
  for (const line of lines) {
    const row = body.insertRow();
    for (const text of line) row.insertCell().textContent = text;
  }
  at(table).hidden = !lines.length;
}

function show(event) {
  const s = event.summary;
  const counts = { read: s.read, scored: s.scored, flagged: s.flagged, year: s.year ?? "–" };
  at("counts").textContent = fill(texts.counts, counts);
  rows("unscored", s.unscored.map((u) => [u.count, u.reason]));
  rows("problems", s.problems.map((p) => [p.sheet, p.column, p.count, p.reason]));
  const bytes = Uint8Array.from(atob(event.content), (c) => c.charCodeAt(0));
  const link = at("download");
  link.href = URL.createObjectURL(new Blob([bytes], { type: texts.xlsx }));
  link.download = event.name;
  result.hidden = false;
  link.click();
}

function take(line) {
  const event = JSON.parse(line);
  if (event.error) throw new Error(event.error.message);
  if (event.summary) return show(event);
  bar.max = event.total || 1;
  bar.value = event.scored;
  state.textContent = fill(texts.scoring, event);
}

async function send(file) {
  const year = at("year").value;
  // Absolute, since a relative URL would inherit credentials of the page's URL, which fetch rejects.
  const query = year ? "?year=" + encodeURIComponent(year) : "";
  const address = location.origin + location.pathname + query;
  const headers = { "Content-Type": texts.kind, Accept: texts.stream };
  const answer = await fetch(address, { method: "POST", headers, body: file });
  if (!answer.ok) {
    const { error } = await answer.json();
    throw new Error([error.message, ...error.details.map((d) => `${d.field ?? ""} ${d.problem}`)].join("; "));
  }
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    const lines = (rest + (value ?? "")).split("\n");
    rest = lines.pop();
    lines.forEach(take);
    if (done) return;
  }
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const file = at("file").files[0];
  result.hidden = true;
  at("again").hidden = false;
  at("go").disabled = true;
  at("again").className = "verdict none";
  bar.removeAttribute("value");
  state.textContent = texts.reading;
  try {
    await send(file);
    if (result.hidden) throw new Error(texts.broken);
    at("again").className = "verdict green";
    state.textContent = texts.done;
  } catch (error) {
    at("again").className = "verdict red";
    state.textContent = fill(texts.failed, { reason: error.message });
    bar.value = 0;
  }
  at("go").disabled = false;
});
