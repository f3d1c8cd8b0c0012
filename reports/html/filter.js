"use strict";
(() => {
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
