// Tables sort by a click on a head: numbers by value, what is no number last.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
  heads.forEach((th, column) => {
    const text = th.classList.contains("t"), button = document.createElement("button");
    button.append(...th.childNodes);
    th.append(button);
    const value = row => {
      const s = row.cells[column]?.textContent ?? "";
      if (text) return s;
      const n = s.replace(/[\s  ,]/g, "").match(/^[−-]?[\d.]+(e[-+]?\d+)?(k?)/);
      return n ? parseFloat(n[0].replace("−", "-")) * (n[2] ? 1000 : 1) : NaN;
    };
    button.addEventListener("click", () => {
      const up = text ? th.ariaSort !== "ascending" : th.ariaSort === "descending";
      for (const h of heads) h.removeAttribute("aria-sort");
      th.ariaSort = up ? "ascending" : "descending";
      body.append(...[...body.rows].map(row => [value(row), row]).sort(([a], [b]) => {
        if (text) return (up ? 1 : -1) * a.localeCompare(b, undefined, { numeric: true });
        if (isNaN(a) || isNaN(b)) return isNaN(a) - isNaN(b);
        return up ? a - b : b - a;
      }).map(([, row]) => row));
    });
  });
}

// Pictures grow on demand.
const dialog = document.querySelector("dialog");
for (const button of document.querySelectorAll(".zoom"))
  button.addEventListener("click", () => {
    const img = button.firstElementChild;
    dialog.firstElementChild.src = img.src;
    dialog.lastElementChild.textContent = img.alt;
    dialog.showModal();
  });
dialog.addEventListener("click", () => dialog.close());

// A name of the legend points out its line.
for (const chart of document.querySelectorAll(".chart")) {
  const lines = chart.querySelectorAll(".series");
  chart.querySelectorAll(".legend li").forEach(item => {
    const pick = on => {
      chart.classList.toggle("picking", on);
      for (const line of lines) line.classList.toggle("picked", on && line.dataset.k === item.dataset.k);
    };
    item.addEventListener("pointerenter", () => pick(true));
    item.addEventListener("pointerleave", () => pick(false));
  });
}
