// Builds the page's files into ../book/static/lab, which the repository keeps: readers and
// writers of the book need no Node. The same sources give the same bytes.
import { mkdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import asc from "assemblyscript/asc";
import { build } from "esbuild";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const output = here("../book/static/lab");
const MADE_BY = "Made by `npm run build` from the readable source in the repository's folder lab.";
const common = {
  bundle: true,
  minify: true,
  target: ["es2022", "chrome111", "firefox114", "safari16.4"],
  charset: "utf8",
  legalComments: "none",
};

await mkdir(output, { recursive: true });
// The worker that trains; the network alone, for the tests and for readers who want to call it from
// the browser's console; and the styles.
await build({
  ...common,
  entryPoints: ["src/worker.ts", "src/core.ts", "src/lab.css", "src/landing/landing.css"].map(here),
  entryNames: "[name]",
  outdir: output,
  format: "esm",
  banner: { js: `// ${MADE_BY}`, css: `/* ${MADE_BY} */` },
});

/** A plain script: where a page is opened from a folder, browsers let no module run. */
async function buildScript(source, name, { first = "", define = {} } = {}) {
  await build({
    ...common,
    entryPoints: [here(source)],
    outfile: `${output}/${name}`,
    format: "iife",
    define: { "import.meta.url": "LAB_URL", ...define },
    banner: { js: `// ${MADE_BY}\n(() => {const LAB_URL = document.currentScript.src;${first}` },
    footer: { js: "})();" },
  });
}

await buildScript("src/lab.ts", "lab.js");
await buildScript("src/landing/landing.ts", "landing.js");
await buildScript("src/photo/script.ts", "photo.js");
// The worker's script once more, for a page without workers (`local_worker.ts`).
await buildScript("src/worker.ts", "worker.local.js", {
  first: "const LAB_SCOPE = window.labWorkerScope;",
  define: { self: "LAB_SCOPE", Worker: "undefined" },
});

const { error, stderr } = await asc.main([
  here("assembly/kernels.ts"),
  ...["--outFile", `${output}/network.wasm`],
  // Nothing is allocated in there, so no runtime is needed.
  ...["--runtime", "stub", "--noAssert"],
  ...["--enable", "simd", "-O3", "--converge"],
]);
if (error) {
  console.error(stderr.toString());
  throw error;
}
