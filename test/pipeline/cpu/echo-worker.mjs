// A worker that answers, fails, dies or says nothing, as the job's key says.
import { parentPort, threadId } from 'node:worker_threads';

parentPort.on('message', ({ id, work }) => {
  const wish = Buffer.from(work.job.key).toString();
  if (wish === 'die') process.exit(3);
  else if (wish === 'throw') throw new Error('a bug');
  else if (wish === 'fail') {
    const error = { error: 'Corrupt', code: 'wrong_length', status: 'permanent', message: 'as asked' };
    parentPort.postMessage({ id, error });
  } else if (wish.startsWith('hold')) {
    setTimeout(() => parentPort.postMessage({ id, ok: { thread: threadId, wish } }), 30);
  } else if (wish !== 'silent') parentPort.postMessage({ id, ok: { thread: threadId, wish } });
});
