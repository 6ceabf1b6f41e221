// AWS-LC alone, in a separate process: a contestant that only verifies signatures, with keys that are parsed once.

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

export function bareVerification(program, jwks) {
  const child = spawn(program, [jwks], { stdio: ['pipe', 'pipe', 'inherit'] });
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const time = async (texts) => {
    const tokens = texts.map((text) => tokenOf(JSON.parse(text)));
    child.stdin.write(`${tokens.join('\n')}\n\n`);
    const { value, done } = await answers.next();
    if (done) throw new Error(`${program} ended early`);
    return Number(value);
  };
  return { name: 'AWS-LC alone', time, end: () => child.stdin.end() };
}

function tokenOf({ Records: [{ cf }] }) {
  return cf.request.headers.authorization[0].value.replace(/^Bearer /, '');
}
