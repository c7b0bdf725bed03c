"use strict";
(() => {
  const data = JSON.parse(document.getElementById("pairs-data").textContent);
  const head = document.querySelector("#all thead tr");
  const body = document.querySelector("#all tbody");
  const search = document.getElementById("search");
  const count = document.getElementById("count");
  const more = document.getElementById("more");
  const STEP = 100;
  let order = data.rows.map((_, i) => i);
  let shown = 0;
  let sorted = -1;
  let up = true;

  const text = (value, kind) =>
    value === null ? "–" : kind === "text" ? value : value.toFixed(Number(kind));

  const cell = (row, column) => {
    const [, kind] = data.columns[column];
    const td = document.createElement("td");
    const id = row[row.length - 1];
    const anchor = column === 0 ? data.anchors[id] : undefined;
    if (kind !== "text") td.className = "n";
    if (anchor) {
      const link = document.createElement("a");
      link.href = "#" + anchor;
      link.textContent = row[0];
      link.title = "show the pair";
      td.append(link);
    } else {
      td.textContent = text(row[column], kind);
    }
    if (column === row.length - 1) td.classList.add("id");
    return td;
  };

  const grow = () => {
    const part = document.createDocumentFragment();
    for (const index of order.slice(shown, shown + STEP)) {
      const tr = document.createElement("tr");
      data.columns.forEach((_, column) => tr.append(cell(data.rows[index], column)));
      part.append(tr);
    }
    body.append(part);
    shown = Math.min(order.length, shown + STEP);
    more.hidden = shown >= order.length;
    count.textContent = `${order.length} of ${data.rows.length} pairs`;
  };

  const compare = (i, j) => {
    const [x, y] = [data.rows[i][sorted], data.rows[j][sorted]];
    if (x === y) return i - j;
    if (x === null) return 1;
    if (y === null) return -1;
    return (x < y ? -1 : 1) * (up ? 1 : -1);
  };

  const refresh = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const isText = data.columns.map(([, kind]) => kind === "text");
    order = data.rows.map((_, i) => i).filter((i) => {
      const line = data.rows[i].filter((_, c) => isText[c]).join(" ").toLowerCase();
      return words.every((word) => line.includes(word));
    });
    if (sorted >= 0) order.sort(compare);
    body.replaceChildren();
    shown = 0;
    grow();
  };

  data.columns.forEach(([name, kind], column) => {
    const th = document.createElement("th");
    const button = document.createElement("button");
    th.scope = "col";
    if (kind !== "text") th.className = "n";
    button.type = "button";
    button.textContent = name;
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
  search.addEventListener("input", refresh);
  more.addEventListener("click", grow);
  grow();
})();
