"use strict";
(() => {
  const by = (id) => document.getElementById(id);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const plain = (text) => text.replace(/\s+/g, " ").trim();

  // The page tells no time of its own; the reader's clock may say that it no longer holds.
  const ends = by("expires");
  if (ends && Date.now() >= Date.parse(ends.dateTime)) by("expired").hidden = false;

  // A link to a case that is folded away or filtered out shows it first.
  const reveal = () => {
    const place = location.hash && by(location.hash.slice(1));
    if (!place) return;
    for (let part = place; part; part = part.parentElement) {
      if (part.matches("article, [data-case]")) part.hidden = false;
      if (part.matches("details")) part.open = true;
    }
    place.scrollIntoView();
  };
  addEventListener("hashchange", reveal);
  reveal();

  // On paper nothing can be unfolded.
  let unfolded = [];
  addEventListener("beforeprint", () => {
    unfolded = all("details:not([open]):not(.many)");
    unfolded.forEach((part) => { part.open = true; });
  });
  addEventListener("afterprint", () => unfolded.forEach((part) => { part.open = false; }));

  // Sorting: a press on the head of a column, and another for the other way round.
  const ORDER = ["missed", "fail", "error", "inconclusive", "skipped", "unsupported", "pass", "met"];
  const UNITS = { ms: 1e-3, s: 1, min: 60 };
  const words = new Intl.Collator("en", { numeric: true });
  const value = (text) => {
    const number = /^([-+]?[\d.,]+(?:e[-+]?\d+)?)(?: (ms|s|min))?\b/.exec(text);
    if (number) return parseFloat(number[1].replaceAll(",", "")) * (UNITS[number[2]] || 1);
    return text === "–" || text === "" ? -Infinity : NaN;
  };
  const rank = (text) => ORDER.findIndex((word) => text.split(" ").includes(word));
  const sort = (table, column, down) => {
    const body = table.tBodies[0], way = down ? -1 : 1;
    const rows = [...body.rows].map((row) => ({ row, text: plain(row.cells[column].textContent) }));
    const ranks = rows.map((each) => rank(each.text)), values = rows.map((each) => value(each.text));
    const keys = ranks.every((at) => at >= 0) ? ranks : values.every((at) => !Number.isNaN(at)) ? values : null;
    rows.forEach((each, at) => { each.key = keys && keys[at]; });
    rows.sort((a, b) => way * (keys ? (a.key > b.key) - (a.key < b.key) : words.compare(a.text, b.text)));
    body.append(...rows.map((each) => each.row));
  };
  all("table.cases, table.all").forEach((table) => {
    if (table.tBodies[0].rows.length < 2) return;
    [...table.tHead.rows[0].cells].forEach((head, column, heads) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        heads.forEach((each) => each.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        sort(table, column, down);
      });
    });
  });

  const box = document.querySelector(".filter"), told = document.querySelector(".told");
  const articles = all("article.check", told), field = by("filter"), shown = by("shown"), reset = by("reset");
  const total = document.querySelectorAll("[data-case]").length;
  if (articles.length + total < 2) return;
  box.hidden = false;

  const order = by("sort");
  if (order) order.addEventListener("change", () => {
    const name = (each) => each.querySelector(".name").textContent, found = [...articles];
    if (order.value === "name") found.sort((a, b) => words.compare(name(a), name(b)));
    if (order.value === "seconds") found.sort((a, b) => b.dataset.seconds - a.dataset.seconds);
    told.append(...found);
  });

  // Filtering: what the page says is read once; then whole checks are hidden, and within the others only what changes.
  const MOST = 400;
  const choices = ["outcome", "tag", "model"].map((what) => [what, by(`filter-${what}`)]).filter(([, part]) => part);
  let index;
  const read = () => articles.map((article) => {
    const rows = all("[data-case]", article).map((row) => ({
      row,
      text: row.textContent.toLowerCase(),
      outcome: row.dataset.case,
      tags: [...row.getElementsByClassName("tag")].map((tag) => plain(tag.textContent)),
      fits: true,
    }));
    const at = new Map(rows.map((each, place) => [each.row, place]));
    const folds = all("details", article).map((part) => {
      const own = all("[data-case]", part);
      return { part, first: at.get(own[0]), many: own.length, opened: false, said: null };
    }).filter((fold) => fold.many);
    return {
      article, rows, folds,
      lists: all("ol.bad", article).map((list) => [list.previousElementSibling, [...list.children]]).filter(([head]) => head && head.matches("h4")),
      name: article.querySelector("header").textContent.toLowerCase(),
      models: all(".of-model", article).map((part) => plain(part.textContent)),
    };
  });
  const unfold = (fold, rows, wanted) => {
    let fits = 0;
    for (let at = fold.first; at < fold.first + fold.many; at++) fits += rows[at].fits;
    const open = wanted && fits > 0 && fits <= MOST;
    if (open && !fold.part.open) fold.opened = fold.part.open = true;
    if (!open && fold.opened) fold.opened = fold.part.open = false;
    if (wanted && !fold.said) {
      fold.said = document.createElement("span");
      fold.said.className = "fits";
      fold.part.querySelector("summary").append(fold.said);
    }
    if (fold.said) fold.said.textContent = wanted ? ` (${fits.toLocaleString("en")} shown)` : "";
  };
  const apply = () => {
    index ||= read();
    const text = field.value.trim().toLowerCase();
    const { outcome = "", tag = "", model = "" } = Object.fromEntries(choices.map(([what, part]) => [what, part.value]));
    const wanted = Boolean(text || tag || outcome), any = wanted || Boolean(model);
    let cases = 0, checks = 0;
    for (const each of index) {
      const here = !model || each.models.includes(model);
      let fits = 0;
      for (const one of each.rows) {
        one.fits = here && (!outcome || one.outcome === outcome) && (!tag || one.tags.includes(tag)) && (!text || one.text.includes(text));
        fits += one.fits;
      }
      const named = here && text && !tag && !outcome && each.name.includes(text);
      each.article.hidden = any && !fits && !named && !(here && !wanted);
      checks += !each.article.hidden;
      cases += fits;
      if (each.article.hidden) continue;
      for (const one of each.rows) if (one.row.hidden === one.fits) one.row.hidden = !one.fits;
      each.lists.forEach(([head, own]) => { head.hidden = own.every((one) => one.hidden); });
      each.folds.forEach((fold) => unfold(fold, each.rows, wanted));
    }
    reset.hidden = !any;
    shown.textContent = any ? `${cases.toLocaleString("en")} of ${total.toLocaleString("en")} cases, in ${checks} of ${index.length} checks` : "";
  };
  let waiting;
  field.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(apply, 80); });
  choices.forEach(([, part]) => part.addEventListener("change", apply));
  reset.addEventListener("click", () => {
    field.value = "";
    choices.forEach(([, part]) => { part.value = ""; });
    apply();
    field.focus();
  });
})();
