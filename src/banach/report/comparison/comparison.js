"use strict";
{
  const body = document.body;

  for (const input of document.querySelectorAll(".section .switch input")) {
    input.addEventListener("change", () => {
      body.dataset.by = input.value;
      for (const other of document.querySelectorAll(".section .switch input")) other.checked = other.value === input.value;
    });
  }

  // texts with numbers in them by the size of these: lr=0.0002 before lr=0.001, seed2 before seed10
  const NUMBER = /((?<![\w.])-?\d+(?:\.\d+)?(?:e[-+]?\d+)?|\d+)/i;
  const natural = (a, b) => {
    const [ours, theirs] = [a.split(NUMBER), b.split(NUMBER)];
    for (let at = 0; at < Math.min(ours.length, theirs.length); at += 1) {
      const order = at % 2 ? parseFloat(ours[at]) - parseFloat(theirs[at]) : ours[at].localeCompare(theirs[at]);
      if (order) return order;
    }
    return ours.length - theirs.length;
  };

  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells], rows = table.tBodies[0];
    heads.forEach((head, at) => {
      const button = head.querySelector("button");
      if (!button) return;
      button.addEventListener("click", () => {
        const up = head.getAttribute("aria-sort") !== "ascending", text = head.dataset.kind === "text";
        heads.forEach((one) => one.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        const value = (row) => {
          const cell = row.cells[at], said = cell.dataset.value ?? cell.textContent.trim();
          if (text) return said;
          const number = parseFloat(said.replace(/−/g, "-").replace(/,/g, ""));
          return Number.isNaN(number) ? null : number;
        };
        const sorted = [...rows.rows].map((row) => [value(row), row]).sort(([a], [b]) => {
          if (a === null || b === null) return (a === null) - (b === null);  // what is missing is last either way
          const order = text ? natural(a, b) : a - b;
          return up ? order : -order;
        });
        rows.append(...sorted.map(([, row]) => row));
      });
    });
  }

  for (const gallery of document.querySelectorAll(".gallery")) {
    const choice = gallery.querySelector("select"), shown = [...gallery.querySelectorAll(".seed-of")];
    if (choice) choice.addEventListener("change", () => shown.forEach((one, at) => one.classList.toggle("now", at === +choice.value)));
  }

  const source = document.getElementById("comparison-data"), place = document.getElementById("plot");
  if (source && place) {
    const { methods, quantities, colours } = JSON.parse(source.textContent);
    const chosen = document.getElementById("quantity"), note = document.getElementById("plot-note");
    const logarithmic = document.getElementById("logarithmic");
    const dashes = ["solid", "dash", "longdash", "dashdot"];
    const plain = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
    const short = (text) => (text.length > 46 ? `${text.slice(0, 45)}…` : text);
    const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
    const hidden = new Set();

    const meanOf = (curves) => {
      const maps = curves.map((one) => new Map(one.steps.map((step, at) => [step, at])));
      const steps = curves[0].steps.filter((step) => maps.every((one) => one.has(step)));
      const mean = (key, step) => {
        const found = curves.map((one, at) => one[key][maps[at].get(step)]);
        return found.includes(null) ? null : found.reduce((sum, one) => sum + one, 0) / found.length;
      };
      return { steps, minutes: steps.map((step) => mean("minutes", step)), y: steps.map((step) => mean("y", step)) };
    };

    const traces = (quantity, axis) => methods.flatMap((name, method) => {
      const own = quantity.curves.filter((one) => one.method === method);
      const counted = own.filter((one) => one.counts);
      const mean = counted.length > 1 ? meanOf(counted) : null;
      const thick = mean && mean.steps.length > 0 ? mean : null;
      const of = (curve, more) => ({
        type: "scatter", x: curve[axis], y: curve.y, legendgroup: `m${method}`, name: plain(short(name)),
        visible: hidden.has(method) ? "legendonly" : true, connectgaps: false, ...more,
      });
      const line = { color: css(`--c${(method % colours) + 1}`), dash: dashes[Math.floor(method / colours) % dashes.length] };
      const hover = `<b>%{meta[0]}</b><br>%{meta[1]}<br>${axis} %{x:,.4~r}: <b>%{y:.4~g}</b><extra></extra>`;
      const dots = quantity.dots || (thick ?? counted[0] ?? own[0])?.steps.length === 1;
      const runs = own.map((one, at) => of(one, {
        mode: dots ? "lines+markers" : "lines", opacity: thick ? 0.5 : 1, marker: { size: thick ? 4 : 6 },
        line: { ...line, width: thick ? 1.2 : 2, dash: one.counts ? line.dash : "dot" },
        meta: [plain(name), plain(`seed ${one.seed}${one.state ? `, ${one.state}` : ""} (${one.name})`)],
        hovertemplate: hover, showlegend: !thick && at === 0,
      }));
      return thick ? [...runs, of(thick, {
        mode: dots ? "lines+markers" : "lines", line: { ...line, width: 3 }, marker: { size: 7 },
        meta: [plain(name), `mean of ${counted.length} seeds`], hovertemplate: hover,
      })] : runs;
    });

    const draw = () => {
      const quantity = quantities[+chosen.value], axis = document.querySelector("input[name=axis]:checked").value;
      const wide = place.clientWidth > 820, grid = css("--grid"), ink = css("--ink"), faint = css("--faint");
      const scale = { gridcolor: grid, zeroline: false, linecolor: grid, tickfont: { color: faint }, automargin: true };
      const floor = quantity.floor === null ? [] : [{
        type: "line", xref: "paper", x0: 0, x1: 1, y0: quantity.floor, y1: quantity.floor,
        line: { color: css("--mark"), width: 1.2, dash: "dash" },
        label: { text: "floor", textposition: "end", font: { color: css("--mark"), size: 11 } },
      }];
      note.textContent = quantity.note;
      Plotly.react(place, traces(quantity, axis), {
        height: wide ? 460 : 520, margin: { l: 56, r: 12, t: 34, b: 48 }, hovermode: "closest",
        modebar: { bgcolor: "rgba(0,0,0,0)", color: faint, activecolor: css("--accent") },
        paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", shapes: floor,
        font: { family: getComputedStyle(body).fontFamily, size: 13, color: ink },
        hoverlabel: { bgcolor: css("--card"), bordercolor: css("--line"), font: { color: ink }, align: "left" },
        legend: wide ? { x: 1.01, y: 1, font: { size: 12 } } : { orientation: "h", y: -0.18, font: { size: 12 } },
        xaxis: { ...scale, title: { text: axis === "steps" ? "generator steps" : "minutes of training", font: { color: faint } }, rangemode: "tozero" },
        yaxis: { ...scale, title: { text: plain(quantity.title), font: { color: faint } }, type: logarithmic.checked ? "log" : "linear" },
      }, { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
        toImageButtonOptions: { format: "svg", filename: "curves" } });
    };

    const choose = () => { logarithmic.checked = quantities[+chosen.value].log; draw(); };
    chosen.addEventListener("change", choose);
    logarithmic.addEventListener("change", draw);
    for (const one of document.querySelectorAll("input[name=axis]")) one.addEventListener("change", draw);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
    choose();
    place.on("plotly_restyle", () => {
      for (const one of place.data) {
        const method = +one.legendgroup.slice(1);
        if (one.visible === "legendonly") hidden.add(method); else hidden.delete(method);
      }
    });
  }
}
