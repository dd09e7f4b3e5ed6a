/** Makes JavaScript of src/ in few files: a start reads some 20 instead of 400, which is half of its time. */
import { dirname, relative } from 'node:path';
import { type Plugin, rolldown } from 'rolldown';

/** The files that are started or imported by their place: they keep it. What they share goes to chunks/. */
const ENTRIES = [
  'index',
  'cli/main',
  'engine/threads/entry',
  'fleet/thread_parts',
  'journal/sqlite/writer_thread',
  'ping/icmp_thread',
];

/** What a module finds by `import.meta.url` it finds as if it stood where its source does, whatever file it ends up in. */
const places: Plugin = {
  name: 'places',
  transform: {
    filter: { code: 'import.meta.url' },
    handler(code, id) {
      const place = relative('src', id).replace(/\.ts$/, '.js');
      return code.replaceAll('import.meta.url', `new URL("@top/${place}", import.meta.url).href`);
    },
  },
  renderChunk: (code, { fileName }) => code.replaceAll('"@top/', `"${relative(dirname(fileName), '.') || '.'}/`),
};

/** Run at the top of the checkout. Packages stay imports. */
export async function bundle(folder: string): Promise<void> {
  await using made = await rolldown({
    input: Object.fromEntries(ENTRIES.map((entry) => [entry, `src/${entry}.ts`])),
    platform: 'node',
    external: /^[^./]/,
    plugins: [places],
  });
  await made.write({
    dir: folder,
    entryFileNames: '[name].js',
    chunkFileNames: 'chunks/[name].js',
    // Two functions of one name in one file: stacks and profiles say it as the source does. Errors are known by name, too.
    keepNames: true,
  });
}
