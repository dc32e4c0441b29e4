import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import react from "@vitejs/plugin-react";
import { defineConfig, type Plugin } from "vite";

// the service behind this development server
const service = process.env.CAMPAIGNS_SERVICE ?? "http://127.0.0.1:8123";

/** Writes a compressed copy of each hashed file for each encoding. */
function compressed(): Plugin {
  let directory = "";
  return {
    name: "compressed",
    apply: "build",
    configResolved: (config) => {
      directory = resolve(config.root, config.build.outDir, "assets");
    },
    closeBundle: () => {
      for (const name of readdirSync(directory)) {
        if (!/\.(js|css|svg|ttf)$/.test(name)) continue;
        const bytes = readFileSync(resolve(directory, name));
        // compression gains nothing for a file that fits into a packet
        if (bytes.length < 1_024) continue;
        const params = {
          [constants.BROTLI_PARAM_QUALITY]: bytes.length > 1 << 20 ? 9 : 11,
          [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
        };
        writeFileSync(resolve(directory, `${name}.br`), brotliCompressSync(bytes, { params }));
        writeFileSync(resolve(directory, `${name}.gz`), gzipSync(bytes, { level: 9 }));
      }
    },
  };
}

/** Loads the style before the scripts, since the first text needs only the style. */
function styleFirst(): Plugin {
  return {
    name: "style-first",
    apply: "build",
    transformIndexHtml: {
      order: "post",
      handler: (html) =>
        html.replaceAll(/<(script type="module"|link rel="modulepreload")/g, '<$1 fetchpriority="low"'),
    },
  };
}

export default defineConfig({
  // the service inserts its base path into each link of a page
  base: "./",
  plugins: [react(), styleFirst(), compressed()],
  // GraphiQL's workers are imported by `?worker`, which pre-bundling does not support
  optimizeDeps: { exclude: ["graphiql/setup-workers/vite", "@graphiql/react/setup-workers/vite"] },
  server: { proxy: { "/graphql": { target: service, ws: true } } },
  worker: { format: "es" },
  build: {
    outDir: process.env.CAMPAIGNS_WEB_OUT ?? "dist",
    emptyOutDir: true,
    // the content security policy does not allow data: URLs
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // GraphiQL's editor is one large file, which only that page loads
    chunkSizeWarningLimit: 8_000,
    reportCompressedSize: false,
    rollupOptions: { input: { index: "index.html", graphiql: "graphiql.html" } },
  },
});
