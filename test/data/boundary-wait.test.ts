/** Which boundary a session ends at that has to end: the one that its next command is least likely to cross. */
import t from 'tap';
import { type BoundaryKnowledge, BoundaryWait } from '../../src/data/boundary-wait.ts';

class Client {
  over: 'ended' | 'cut' | null = null;
  wait: BoundaryWait | null = null;
  #knowledge: BoundaryKnowledge = 'boundary';
  #hasMoved = false;

  asks(): void {
    this.#hasMoved = true;
    this.#knowledge = 'busy';
  }

  isAnswered(): void {
    this.#hasMoved = true;
    this.#knowledge = 'boundary';
    this.wait?.check();
  }

  knowledge(): BoundaryKnowledge {
    return this.#knowledge;
  }

  takeMoved(): boolean {
    const hasMoved = this.#hasMoved;
    this.#hasMoved = false;
    return hasMoved;
  }

  end(): void {
    this.over ??= 'ended';
    this.wait?.close();
  }

  cut(): void {
    this.over ??= 'cut';
    this.wait?.close();
  }
}

/** Tries a wait in a time that passes when it is told to, all of it at once: nobody else's timers are in it. */
function inOwnTime(patienceMs: number, play: (client: Client, pass: (ms: number) => void) => void): void {
  const { setTimeout, clearTimeout, setInterval, clearInterval, setImmediate } = globalThis;
  const due = new Map<object, { atMs: number; readonly everyMs: number; readonly run: () => void }>();
  let nowMs = 0;
  const plan = (run: () => void, afterMs: number, everyMs: number) => {
    const timer = {};
    due.set(timer, { atMs: nowMs + afterMs, everyMs, run });
    return timer;
  };
  const pass = (ms: number) => {
    for (const untilMs = nowMs + ms; nowMs < untilMs; nowMs++) {
      for (const [timer, planned] of due) {
        if (planned.atMs > nowMs) continue;
        if (planned.everyMs > 0) planned.atMs += planned.everyMs;
        else due.delete(timer);
        planned.run();
      }
    }
  };
  const cancel = (timer: object) => void due.delete(timer);
  Object.assign(globalThis, {
    setTimeout: (run: () => void, ms: number) => plan(run, ms, 0),
    setInterval: (run: () => void, ms: number) => plan(run, ms, ms),
    setImmediate: (run: () => void) => plan(run, 0, 0),
    clearTimeout: cancel,
    clearInterval: cancel,
  });
  try {
    const client = new Client();
    client.wait = new BoundaryWait('shutdown', { patienceMs, graceMs: 8000 }, client, () => nowMs);
    pass(20);
    play(client, pass);
  } finally {
    Object.assign(globalThis, { setTimeout, clearTimeout, setInterval, clearInterval, setImmediate });
  }
}

t.test('without patience it ends behind the next answer', async (t) => {
  inOwnTime(0, (client, pass) => {
    client.asks();
    pass(400);
    t.equal(client.over, null, 'not while an answer is due');
    client.isAnswered();
    t.equal(client.over, 'ended');
  });
});

t.test('with patience a client at work is left alone, and ends in its first pause', async (t) => {
  inOwnTime(4000, (client, pass) => {
    for (let round = 0; round < 50; round++) {
      client.asks();
      pass(3);
      client.isAnswered();
      pass(5);
    }
    t.equal(client.over, null, 'not behind an answer');
    pass(6);
    t.equal(client.over, 'ended', 'but once it pauses for longer than it does at work');
  });
});

t.test('a pause is measured by the rhythm of the client', async (t) => {
  inOwnTime(4000, (client, pass) => {
    client.asks();
    client.isAnswered();
    pass(80);
    client.asks();
    client.isAnswered();
    pass(15);
    t.equal(client.over, null);
    pass(10);
    t.equal(client.over, 'ended', 'a quarter into the time it takes from answer to answer');
  });
});

t.test('a client whose rhythm is not known has to be silent for long', async (t) => {
  inOwnTime(4000, (client, pass) => {
    client.asks();
    client.isAnswered();
    pass(900);
    t.equal(client.over, null);
    pass(200);
    t.equal(client.over, 'ended');
  });
});

t.test('a client that never pauses ends behind an answer when patience is over', async (t) => {
  inOwnTime(1000, (client, pass) => {
    for (let round = 0; round < 195; round++) {
      client.asks();
      pass(5);
      client.isAnswered();
    }
    t.equal(client.over, null);
    client.asks();
    pass(10);
    t.equal(client.over, null);
    client.isAnswered();
    t.equal(client.over, 'ended');
  });
});

t.test('what is busy all the time ends with the grace', async (t) => {
  inOwnTime(1000, (client, pass) => {
    client.asks();
    pass(7900);
    t.equal(client.over, null);
    pass(100);
    t.equal(client.over, 'cut');
  });
});
