"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const json = (id) => JSON.parse(byId(id).textContent);
  const make = (tag, css, text) => {
    const node = document.createElement(tag);
    if (css) node.className = css;
    if (text !== undefined) node.textContent = text;
    return node;
  };
  const data = json("pairs-data");
  const { dataset } = json("page-data");
  const LAST = data.columns.length - 1;
  const idOf = (index) => data.rows[index][LAST];
  const cardOf = new Map(Object.entries(data.cards));
  const shown = (value, kind) =>
    value === null ? "–" : kind === "text" ? value : value.toFixed(Number(kind));

  // ---- colours: the system's, or the stored choice where the browser allows storage
  const KEY = "spfem-data-theme";
  const storedTheme = () => {
    try { return localStorage.getItem(KEY) || ""; } catch { return ""; }
  };
  const applyTheme = (theme) => {
    if (theme) document.documentElement.dataset.theme = theme;
    else delete document.documentElement.dataset.theme;
  };
  const themes = document.querySelectorAll("input[name=theme]");
  for (const input of themes) {
    input.checked = input.value === storedTheme();
    input.addEventListener("change", () => {
      applyTheme(input.value);
      try { localStorage.setItem(KEY, input.value); } catch { /* storage may be disabled */ }
    });
  }
  applyTheme(storedTheme());
  document.querySelector(".theme").hidden = false;

  // ---- audio: both takes of a pair, in the time of their files
  const map = (knots, time, from, to) => {
    const end = knots.length - 1;
    if (time <= knots[0][from]) return knots[0][to] + time - knots[0][from];
    if (time >= knots[end][from]) return knots[end][to] + time - knots[end][from];
    let k = 1;
    while (knots[k][from] < time) k += 1;
    const [p, q] = [knots[k - 1], knots[k]];
    const width = q[from] - p[from];
    return p[to] + (width ? ((time - p[from]) / width) * (q[to] - p[to]) : 0);
  };
  let playing = null;
  let context = null;
  const stop = () => {
    if (!playing) return;
    const { audios, head, button, status } = playing;
    for (const audio of audios) audio.pause();
    button.setAttribute("aria-pressed", "false");
    head.hidden = true;
    status.textContent = "";
    playing = null;
  };
  const panned = (audio, pan) => {
    if (!audio.panner) {
      context = context || new AudioContext();
      audio.panner = new StereoPannerNode(context, { pan: 0 });
      context.createMediaElementSource(audio).connect(audio.panner).connect(context.destination);
    }
    audio.panner.pan.value = pan;
    context.resume();
  };
  const audiosOf = (bar) => {
    bar.audios = bar.audios || { a: new Audio(bar.dataset.a), b: new Audio(bar.dataset.b) };
    return bar.audios;
  };
  const play = (bar, button, from) => {
    const again = playing && playing.button === button && from === undefined;
    stop();
    if (again) return;
    const mode = button.dataset.play;
    const { a, b } = audiosOf(bar);
    const set = bar.dataset;
    const [startA, startB] = [Number(set.startA), Number(set.startB)];
    const [start, end] = [Number(set.start), Number(set.end)];
    const knots = JSON.parse(set.knots);
    const card = bar.closest(".pair");
    const head = card.querySelector(".playhead");
    const status = bar.querySelector(".status");
    const me = { audios: [a, b], head, button, status, mode };
    playing = me;
    button.setAttribute("aria-pressed", "true");
    head.hidden = false;
    const lead = mode === "b" ? b : a;
    const atA = from === undefined ? startA : from;
    for (const audio of [a, b]) audio.playbackRate = 1;
    a.currentTime = Math.max(0, atA - startA);
    b.currentTime = Math.max(0, map(knots, atA, 0, 1) - startB);
    if (from === undefined && mode !== "both") b.currentTime = 0;
    if (mode === "both" || context) {
      panned(a, mode === "both" ? -0.8 : 0);
      panned(b, mode === "both" ? 0.8 : 0);
    }
    const follow = () => {
      const target = map(knots, startA + a.currentTime, 0, 1) - startB;
      const ahead = map(knots, startA + a.currentTime + 0.1, 0, 1) - startB;
      const off = target - b.currentTime;
      if (target < 0 || target > b.duration) { b.pause(); return; }
      if (b.paused) b.play().catch(() => {});
      if (Math.abs(off) > 0.15) b.currentTime = target;
      else b.playbackRate = Math.min(4, Math.max(0.25, (ahead - target) / 0.1 + 2 * off));
    };
    let now = lead;
    const step = () => {
      if (playing !== me) return;
      if (mode === "both" && !a.paused) follow();
      const time = now === a ? startA + a.currentTime : map(knots, startB + b.currentTime, 1, 0);
      head.style.left = `${Math.min(100, Math.max(0, ((time - start) / (end - start)) * 100))}%`;
      requestAnimationFrame(step);
    };
    a.onended = () => {
      if (playing !== me) return;
      if (mode === "turns") { now = b; status.textContent = "b"; b.play().catch(() => stop()); }
      else if (now === a) stop();
    };
    b.onended = () => { if (playing === me && now === b) stop(); };
    status.textContent = { a: "a", b: "b", turns: "a", both: "a left, b right" }[mode];
    lead.play().then(() => requestAnimationFrame(step)).catch(() => {
      if (playing !== me) return;
      stop();
      status.textContent = "This browser cannot play Opus audio";
    });
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-play]");
    if (button) play(button.closest(".audio"), button);
    const plot = event.target.closest(".figure .plot");
    if (plot) {
      const card = plot.closest(".pair");
      const bar = card.querySelector(".audio");
      const box = plot.getBoundingClientRect();
      const share = (event.clientX - box.left) / box.width;
      const [start, end] = [Number(bar.dataset.start), Number(bar.dataset.end)];
      const on = playing && card.contains(playing.button) ? playing.button : null;
      play(bar, on || bar.querySelector('[data-play="both"]'), start + share * (end - start));
    }
  });

  // ---- cards: added to the page on request, a few at a time
  const CARDS = 5;
  const cards = byId("cards");
  const more = byId("more");
  const clone = (anchor) => byId(anchor).content.cloneNode(true);
  const anchors = (group) =>
    Array.from(document.querySelectorAll(`template[data-group="${group}"]`), (t) => t.id);
  let group = [];
  let put = 0;
  const grow = () => {
    const focus = document.activeElement === more;
    const first = put;
    for (const anchor of group.slice(put, put + CARDS)) cards.append(clone(anchor));
    put = Math.min(group.length, put + CARDS);
    more.hidden = put >= group.length;
    more.textContent = `Show ${Math.min(CARDS, group.length - put)} more of ${group.length - put}`;
    if (focus) {
      const next = cards.children[first];
      next.tabIndex = -1;
      next.focus();
    }
  };
  const choose = (input) => {
    stop();
    group = anchors(input.value);
    put = 0;
    cards.replaceChildren();
    byId("meaning").textContent = input.dataset.meaning;
    grow();
  };
  if (cards) {
    const tabs = document.querySelector(".tabs");
    tabs.hidden = false;
    for (const input of tabs.querySelectorAll("input")) {
      input.addEventListener("change", () => choose(input));
    }
    more.addEventListener("click", grow);
    choose(tabs.querySelector("input"));
  }

  // ---- all pairs: only visible rows are in the page
  const ROW = 30;
  const SPARE = 12;
  const table = byId("all");
  const frame = byId("rows");
  const head = table.tHead.rows[0];
  const body = table.tBodies[0];
  const search = byId("search");
  const count = byId("count");
  const drop = byId("clear-filters");
  const TEXT = data.columns.flatMap(([, kind], c) => (kind === "text" ? [c] : []));
  const lines = data.rows.map((row) => TEXT.map((c) => row[c]).join(" ").toLowerCase());
  const chosen = new Map();
  let order = [];
  let sorted = Math.max(0, data.columns.findIndex(([name]) => name === "doubt"));
  let up = false;
  let drawnFrom = -1;
  let drawnTo = -1;

  const rowOf = (index, place) => {
    const row = data.rows[index];
    const tr = document.createElement("tr");
    tr.setAttribute("aria-rowindex", place + 2);
    data.columns.forEach(([, kind], c) => {
      const cell = document.createElement(c ? "td" : "th");
      if (kind !== "text") cell.className = "n";
      if (c === 0) {
        cell.scope = "row";
        const button = make("button", "open", row[0]);
        button.type = "button";
        button.dataset.place = place;
        const card = cardOf.get(idOf(index));
        button.setAttribute("aria-label", `Open pair ${row[0]}${card ? ", with images" : ""}`);
        if (card) button.classList.add("drawn");
        cell.append(button);
      } else {
        cell.textContent = shown(row[c], kind);
        if (c === LAST) cell.className = "id";
      }
      tr.append(cell);
    });
    return tr;
  };
  const spacer = (count_) => {
    const tr = make("tr", "spacer");
    tr.setAttribute("aria-hidden", "true");
    const td = document.createElement("td");
    td.colSpan = data.columns.length;
    td.style.height = `${count_ * ROW}px`;
    tr.append(td);
    return tr;
  };
  const paint = (force) => {
    const from = Math.max(0, Math.floor(frame.scrollTop / ROW) - SPARE);
    const to = Math.min(order.length, Math.ceil((frame.scrollTop + frame.clientHeight) / ROW) + SPARE);
    if (!force && from === drawnFrom && to === drawnTo) return;
    const focused = body.contains(document.activeElement) ? document.activeElement.dataset.place : null;
    [drawnFrom, drawnTo] = [from, to];
    const part = document.createDocumentFragment();
    if (from) part.append(spacer(from));
    for (let place = from; place < to; place += 1) part.append(rowOf(order[place], place));
    if (to < order.length) part.append(spacer(order.length - to));
    body.replaceChildren(part);
    if (focused !== null) body.querySelector(`[data-place="${focused}"]`)?.focus({ preventScroll: true });
  };
  const compare = (i, j) => {
    const [x, y] = [data.rows[i][sorted], data.rows[j][sorted]];
    if (x === y) return i - j;
    if (x === null) return 1;
    if (y === null) return -1;
    return (x < y ? -1 : 1) * (up ? 1 : -1);
  };
  const hasImages = (index) => cardOf.has(idOf(index));
  const refresh = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    order = [];
    for (let i = 0; i < data.rows.length; i += 1) {
      let fits = words.every((word) => lines[i].includes(word));
      for (const [c, value] of chosen) {
        fits = fits && (c < 0 ? hasImages(i) : data.rows[i][c] === value);
      }
      if (fits) order.push(i);
    }
    order.sort(compare);
    frame.scrollTop = 0;
    table.setAttribute("aria-rowcount", order.length + 1);
    count.textContent = `${order.length.toLocaleString("en")} of ${data.rows.length.toLocaleString("en")} pairs`;
    drop.hidden = !words.length && !chosen.size;
    paint(true);
  };
  data.columns.forEach(([name, kind], column) => {
    const th = document.createElement("th");
    const button = make("button", "", name);
    th.scope = "col";
    if (kind !== "text") th.className = "n";
    if (column === sorted) th.setAttribute("aria-sort", "descending");
    button.type = "button";
    button.addEventListener("click", () => {
      up = sorted === column ? !up : true;
      sorted = column;
      for (const other of head.children) other.removeAttribute("aria-sort");
      th.setAttribute("aria-sort", up ? "ascending" : "descending");
      refresh();
    });
    th.append(button);
    head.append(th);
  });
  const selects = [];
  const picker = (name, column, values) => {
    const label = make("label", "", name);
    const select = document.createElement("select");
    select.id = `filter-${column}`;
    label.htmlFor = select.id;
    select.append(new Option("all", ""));
    values.forEach((value, k) => select.append(new Option(value, String(k + 1))));
    select.addEventListener("change", () => {
      if (select.value) chosen.set(column, values[Number(select.value) - 1]);
      else chosen.delete(column);
      refresh();
    });
    selects.push(select);
    const both = document.createElement("span");
    both.append(label, select);
    search.after(both);
  };
  picker("images", -1, ["with images"]);
  for (const name of data.filters.slice().reverse()) {
    const column = data.columns.findIndex(([other]) => other === name);
    const values = Array.from(new Set(data.rows.map((row) => row[column]))).sort();
    if (values.length > 1 && values.length <= 200) picker(name, column, values);
  }
  drop.addEventListener("click", () => {
    search.value = "";
    for (const select of selects) select.value = "";
    chosen.clear();
    refresh();
    search.focus();
  });
  search.addEventListener("input", refresh);
  let due = false;
  frame.addEventListener("scroll", () => {
    if (due) return;
    due = true;
    requestAnimationFrame(() => { due = false; paint(false); });
  });
  new ResizeObserver(() => paint(false)).observe(frame);
  const focusRow = (place) => {
    if (place < 0 || place >= order.length) return;
    const [above, below] = [place * ROW, (place + 2) * ROW - frame.clientHeight];
    if (frame.scrollTop > above) frame.scrollTop = above;
    if (frame.scrollTop < below) frame.scrollTop = below;
    paint(false);
    body.querySelector(`[data-place="${place}"]`).focus({ preventScroll: true });
  };
  body.addEventListener("keydown", (event) => {
    const place = Number(event.target.dataset.place);
    const to = { ArrowDown: place + 1, ArrowUp: place - 1, Home: 0, End: order.length - 1 }[event.key];
    if (to === undefined || Number.isNaN(place)) return;
    event.preventDefault();
    focusRow(to);
  });

  // ---- one pair at a time
  const viewer = byId("viewer");
  let at = -1;
  const sheet = (index) => {
    const part = document.createDocumentFragment();
    const facts = make("dl", "facts");
    data.columns.forEach(([name, kind], c) => {
      if (c === 0) return;
      const pair = document.createElement("div");
      pair.append(make("dt", "", name), make("dd", c === LAST ? "id" : "", shown(data.rows[index][c], kind)));
      facts.append(pair);
    });
    const note = make("p", "soft", "The report has images of selected pairs only. To draw this pair: ");
    note.append(make("code", "", `spfem-data show-pair ${idOf(index)} --dataset ${dataset}`));
    part.append(facts, note);
    return part;
  };
  const view = (place) => {
    stop();
    at = place;
    const index = order[place];
    const card = cardOf.get(idOf(index));
    byId("viewer-title").textContent = `Pair ${data.rows[index][0]}`;
    byId("place").textContent = `${(place + 1).toLocaleString("en")} of ${order.length.toLocaleString("en")}`;
    byId("previous").disabled = place === 0;
    byId("next").disabled = place === order.length - 1;
    byId("viewer-body").replaceChildren(card ? clone(card[0]) : sheet(index));
    if (!viewer.open) viewer.showModal();
    viewer.scrollTop = 0;
  };
  const go = (by) => { if (order[at + by] !== undefined) view(at + by); };
  body.addEventListener("click", (event) => {
    const row = event.target.closest("tr");
    const button = row && row.querySelector("button.open");
    if (button && !String(getSelection())) view(Number(button.dataset.place));
  });
  byId("previous").addEventListener("click", () => go(-1));
  byId("next").addEventListener("click", () => go(1));
  byId("close").addEventListener("click", () => viewer.close());
  viewer.addEventListener("close", () => {
    stop();
    byId("viewer-body").replaceChildren();
    if (location.hash.startsWith("#pair-")) history.replaceState(null, "", "#every");
    if (at >= 0 && at < order.length) focusRow(at);
  });
  viewer.addEventListener("keydown", (event) => {
    if (event.target.closest(".film")) return;
    if (event.key === "ArrowLeft") go(-1);
    if (event.key === "ArrowRight") go(1);
  });
  const byAnchor = new Map(Array.from(cardOf, ([id, [anchor]]) => [anchor, id]));
  const follow = () => {
    const id = byAnchor.get(location.hash.slice(1));
    if (id === undefined) return;
    let place = order.findIndex((index) => idOf(index) === id);
    if (place < 0) {
      drop.click();
      place = order.findIndex((index) => idOf(index) === id);
    }
    view(place);
  };
  window.addEventListener("hashchange", follow);
  refresh();
  follow();

  // ---- coverage, sentence by sentence
  const grids = json("sentence-data");
  const whose = byId("whose");
  const letters = (n) => (n < 26 ? "" : letters(Math.floor(n / 26) - 1)) + String.fromCharCode(97 + (n % 26));
  const heads = (thead) => {
    const [top, low] = [document.createElement("tr"), document.createElement("tr")];
    const corner = make("th", "", "sentence");
    corner.rowSpan = 2;
    corner.scope = "col";
    top.append(corner);
    grids.columns.forEach(([emotion, level], c) => {
      if (!c || grids.columns[c - 1][0] !== emotion) {
        const th = make("th", "", emotion);
        th.scope = "colgroup";
        th.colSpan = grids.columns.filter(([other]) => other === emotion).length;
        top.append(th);
      }
      const th = make("th", "", level);
      th.scope = "col";
      low.append(th);
    });
    thead.replaceChildren(top, low);
  };
  const showSentences = () => {
    const { sentences, cells } = grids.speakers[whose.value];
    const box = document.querySelector(".sentences");
    const legend = document.querySelector(".legend");
    const seen = new Map();
    heads(box.tHead);
    box.tBodies[0].replaceChildren(...sentences.map((name, r) => {
      const tr = document.createElement("tr");
      const th = make("th", "", name);
      th.scope = "row";
      tr.append(th);
      cells[r].forEach(([pairs, takes, reason], c) => {
        const neutral = grids.columns[c][0] === "neutral";
        const td = make("td", reason === undefined ? (neutral ? "anchor" : "full") : "hole");
        if (reason === undefined) td.textContent = neutral ? takes : pairs;
        else {
          if (!seen.has(reason)) seen.set(reason, [letters(seen.size), 0]);
          seen.get(reason)[1] += 1;
          td.textContent = seen.get(reason)[0];
          td.title = grids.reasons[reason];
        }
        tr.append(td);
      });
      return tr;
    }));
    legend.replaceChildren(...Array.from(seen, ([reason, [letter, n]]) => {
      const row = document.createElement("div");
      row.append(make("dt", "", letter), make("dd", "", `${grids.reasons[reason]} (${n} ${n > 1 ? "cells" : "cell"})`));
      return row;
    }));
  };
  const speakers = Object.keys(grids.speakers).filter((name) => grids.speakers[name].sentences.length);
  if (speakers.length) {
    for (const name of speakers) whose.append(new Option(name, name));
    whose.addEventListener("change", showSentences);
    showSentences();
    byId("by-sentence").hidden = false;
  }
})();
