import { runLoad } from './load-program.ts';
import { measureCpu, type Workload } from './workload.ts';

/**
 * LOAD DATA LOCAL INFILE in packets of 16 KiB, as the mysql client sends them. The server reads the lines and is told
 * to ignore them: storing and replicating them would make it the bottleneck, and the proxy sees no difference.
 */
export const UPLOAD: Workload = {
  name: 'upload',
  title: 'LOAD DATA LOCAL INFILE',
  needsFreshTarget: false,
  variants: [],
  usualRounds: 3,
  measures: [
    { name: 'cpuMsPerMb', title: 'CPU ms/MB', better: 'less' },
    { name: 'mbPerSecond', title: 'MB/s', better: 'more' },
  ],
  run: async (_bench, target, { seconds }) => {
    const { result, cpu } = await measureCpu(target, async () => {
      const output = await runLoad(target, {
        mode: 'upload',
        clients: CLIENTS,
        seconds,
        sql: SQL,
        bytes: FILE_BYTES,
      });
      return { seconds: output.seconds, operations: output.bytes / 1e6 };
    });
    const mbPerSecond = result.operations / result.seconds;
    return cpu.cpuUs === undefined ? { mbPerSecond } : { cpuMsPerMb: cpu.cpuUs / 1000, mbPerSecond };
  },
};

const SQL = "LOAD DATA LOCAL INFILE 'lines' INTO TABLE sink IGNORE 100000 LINES";
const CLIENTS = 4;
/** Fewer lines than are to be ignored, not by much: the server goes on counting after the end. */
const FILE_BYTES = 16_000_000;
