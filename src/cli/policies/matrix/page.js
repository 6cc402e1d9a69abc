// The page of `jeton policies matrix --format html`, behind the console's own scripts: one API at a time, of the data in the page.

import { accessMatrix, cellFacts } from "./grid.js";
import { address, put } from "./dom.js";

const matrices = JSON.parse(document.getElementById("data").textContent);
const place = document.getElementById("matrix");

// The API and the filters are in the address, so that a reload keeps them.
const asked = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));

function show(api, state) {
  const matrix = matrices.find((each) => each.api === api) ?? matrices[0];
  const keep = () => history.replaceState(null, "", address("", { ...state, api: matrix.api }).replace("?", "#"));
  put(place, accessMatrix({
    matrix,
    apis: matrices.map((each) => each.api),
    chosen: (other) => show(other, state),
    state,
    changed: keep,
    detail: (cell) => cellFacts(matrix, cell),
  }));
  keep();
}

if (matrices.length) show(asked.api, asked);
