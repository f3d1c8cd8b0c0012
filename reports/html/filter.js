"use strict";
(() => {
  // A link to a case that is folded away or filtered out shows it first.
  const reveal = () => {
    const place = location.hash && document.getElementById(location.hash.slice(1));
    if (!place) return;
    place.hidden = false;
    for (let part = place.closest("details"); part; part = part.parentElement.closest("details")) part.open = true;
    place.scrollIntoView();
  };
  addEventListener("hashchange", reveal);
  reveal();
  const box = document.querySelector(".filter"), field = document.getElementById("filter"), said = box.querySelector("output");
  const rows = [...document.querySelectorAll("[data-case]")];
  if (rows.length < 2) return;
  box.hidden = false;
  const texts = rows.map((row) => row.textContent.toLowerCase());
  let waiting;
  const apply = () => {
    const wanted = field.value.trim().toLowerCase();
    let shown = 0;
    rows.forEach((row, index) => {
      const fits = !wanted || texts[index].includes(wanted);
      shown += fits;
      if (row.hidden === fits) row.hidden = !fits;
    });
    said.textContent = wanted ? `${shown} of ${rows.length}` : "";
    if (wanted) document.querySelectorAll(".check details").forEach((part) => { part.open = true; });
  };
  field.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(apply, 120); });
})();
