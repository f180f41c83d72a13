// What grpc_peer.py is, of another make: see there.
//   grpc_peer.js serve PORT | ask TARGET
'use strict';
const grpc = require('@grpc/grpc-js');

const UNLIMITED = {'grpc.max_receive_message_length': -1, 'grpc.max_send_message_length': -1};
const BINARY = Buffer.from(Array.from({length: 256}, (_, i) => i));
const LARGE = Buffer.concat(Array(4 * 1024 * 4).fill(BINARY));
const MESSAGE = 'ünlucky: 100% of it\n';

const method = (path, requestStream, responseStream) => ({
  path, requestStream, responseStream,
  requestSerialize: (x) => x, requestDeserialize: (x) => x,
  responseSerialize: (x) => x, responseDeserialize: (x) => x,
});
const PEER = {
  unary: method('/weft.test.Peer/Unary', false, false),
  fail: method('/weft.test.Peer/Fail', false, false),
  hang: method('/weft.test.Peer/Hang', false, false),
  nothing: method('/weft.test.Peer/Nothing', false, false),
  failLate: method('/weft.test.Peer/FailLate', false, true),
  count: method('/weft.test.Peer/Count', false, true),
  sum: method('/weft.test.Peer/Sum', true, false),
  chat: method('/weft.test.Peer/Chat', true, true),
  check: method('/grpc.health.v1.Health/Check', false, false),
};

function serve(port) {
  const {nothing, ...known} = PEER;
  const server = new grpc.Server(UNLIMITED);
  server.addService(known, {
    unary(call, done) {
      const binary = call.metadata.get('x-binary-bin')[0] || Buffer.alloc(0);
      const first = new grpc.Metadata();
      first.set('x-first-bin', binary);
      call.sendMetadata(first);
      const last = new grpc.Metadata();
      last.set('x-last-bin', binary);
      last.set('x-text', call.metadata.get('x-text')[0] || '');
      done(null, call.request, last);
    },
    fail: (call, done) => done({code: grpc.status.FAILED_PRECONDITION, details: MESSAGE}),
    hang(call, done) {
      console.log('called');
      call.on('cancelled', () => console.log('cancelled'));
    },
    failLate(call) {
      call.write(Buffer.from('one'));
      call.emit('error', {code: grpc.status.DATA_LOSS, details: MESSAGE});
    },
    count(call) {
      for (let i = 0; i < Number(call.request); ++i) call.write(Buffer.from(String(i)));
      call.end();
    },
    sum(call, done) {
      let bytes = 0;
      call.on('data', (piece) => bytes += piece.length);
      call.on('end', () => done(null, Buffer.from(String(bytes))));
    },
    chat(call) {
      call.on('data', (word) => call.write(Buffer.from(String(word).toUpperCase())));
      call.on('end', () => call.end());
    },
    check: (call, done) => done(null, Buffer.from([8, 1])),
  });
  server.bindAsync(`0.0.0.0:${port}`, grpc.ServerCredentials.createInsecure(), (error) => {
    if (error) throw error;
  });
}

const deadline = (seconds) => ({deadline: Date.now() + seconds * 1000});

async function everything(client) {
  const results = {};
  const unary = (name, request, options, metadata = new grpc.Metadata()) =>
      new Promise((resolve) => {
        const got = {first: null, last: null};
        const call = client[name](request, metadata, options, (error, answer) => {
          setImmediate(() => resolve({...got, error, answer}));
        });
        call.on('metadata', (first) => got.first = first);
        call.on('status', (status) => got.last = status.metadata);
      });
  const status = (error) => error ? [error.code, error.details] : [0, ''];
  const metadata = new grpc.Metadata();
  metadata.set('x-binary-bin', BINARY);
  metadata.set('x-text', 'a, b');
  const hello = await unary('unary', Buffer.from('hello'), deadline(20), metadata);
  if (hello.error) throw hello.error;
  results['unary'] = String(hello.answer);
  results['binary metadata'] = [BINARY.equals(hello.first.get('x-first-bin')[0]),
                                BINARY.equals(hello.last.get('x-last-bin')[0]),
                                hello.last.get('x-text')[0]];
  results['empty'] = String((await unary('unary', Buffer.alloc(0), deadline(20))).answer);
  results['large'] = LARGE.equals((await unary('unary', LARGE, deadline(20))).answer);
  const drained = (call) => new Promise((resolve) => {
    let count = 0;
    call.on('data', () => ++count);
    call.on('end', () => resolve([count, null]));
    call.on('error', (error) => resolve([count, error]));
  });
  results['server streaming'] = (await drained(client.count(Buffer.from('1000'), deadline(20))))[0];
  results['client streaming'] = await new Promise((resolve) => {
    const call = client.sum(deadline(20), (error, answer) => resolve(String(error || answer)));
    for (let i = 0; i < 1000; ++i) call.write(Buffer.alloc(1000, 'x'));
    call.end();
  });
  results['bidirectional'] = await new Promise((resolve) => {
    let number = 0, last;
    const call = client.chat(deadline(20));
    const say = () => number < 100 ? call.write(Buffer.from(`word ${number++}`)) : call.end();
    call.on('data', (answer) => { last = String(answer); say(); });
    call.on('end', () => resolve([number, last]));
    call.on('error', (error) => resolve(String(error)));
    say();
  });
  results['trailers only'] = status((await unary('fail', Buffer.alloc(0), deadline(20))).error);
  results['late failure'] =
      status((await drained(client.failLate(Buffer.alloc(0), deadline(20))))[1]);
  results['unknown method'] =
      status((await unary('nothing', Buffer.alloc(0), deadline(20))).error)[0];
  results['deadline'] = status((await unary('hang', Buffer.alloc(0), deadline(1))).error)[0];
  results['health'] = (await unary('check', Buffer.alloc(0), deadline(20))).answer.toString('hex');
  return results;
}

async function main() {
  const [what, where] = process.argv.slice(-2);
  if (what === 'serve') return serve(where);
  const Client = grpc.makeGenericClientConstructor(PEER, 'Peer');
  const client = new Client(where, grpc.credentials.createInsecure(), UNLIMITED);
  console.log(JSON.stringify(await everything(client)));
  client.close();
}

main();
