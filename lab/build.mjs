// Builds the page's files into ../book/static/lab, which the repository keeps: readers and
// writers of the book need no Node. The same sources give the same bytes.
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import asc from "assemblyscript/asc";
import { build } from "esbuild";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const output = here("../book/static/lab");
// The page and its style; the worker that trains; and the network alone, for the tests and
// for readers who want to call it from the browser's console.
const entries = ["src/lab.ts", "src/lab.css", "src/worker.ts", "src/core.ts"];

await mkdir(output, { recursive: true });
await build({
  entryPoints: entries.map(here).filter(existsSync),
  outdir: output,
  bundle: true,
  minify: true,
  format: "esm",
  target: ["es2022", "chrome111", "firefox114", "safari16.4"],
  charset: "utf8",
  legalComments: "none",
  banner: {
    js: "// Made by `npm run build` from the readable source in the repository's folder lab.",
    css: "/* Made by `npm run build` from the readable source in the repository's folder lab. */",
  },
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
