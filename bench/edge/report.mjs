// Prints the results, for people or for programs.

/** Prints one table row or one JSON object per line. */
export function reporter(format) {
  return format === 'json' ? json : table;
}

const json = {
  about: (about) => console.log(JSON.stringify({ about })),
  row: (row) => {
    for (const figures of row.figures) {
      const { contestant, median, ratio, ratio_quartiles, rounds } = figures;
      console.log(JSON.stringify({ row: row.id, contestant, unit: row.unit, median, ratio, ratio_quartiles, rounds }));
    }
  },
};

const table = {
  about: ({ node, cpu, cpus, batch, seconds }) => {
    console.log(`Node ${node}, ${cpus} × ${cpu}, batches of ${batch}, ${seconds} s a row`);
  },
  row: ({ title, unit, figures }) => {
    const width = Math.max(...figures.map(({ contestant }) => contestant.length));
    console.log(`\n${title}`);
    for (const { contestant, median, ratio, ratio_quartiles, rounds } of figures) {
      const [low, high] = ratio_quartiles.map((quartile) => quartile.toFixed(2));
      const spread = ratio === 1 && low === high ? '' : `(half of ${rounds} rounds: ${low} to ${high})`;
      console.log(
        `  ${contestant.padEnd(width)}  ${median.toFixed(2).padStart(8)} ${unit}  ${ratio.toFixed(2).padStart(6)} ×  ${spread}`.trimEnd(),
      );
    }
  },
};
