// A WebSocket server that echoes, and a client that tries all of the protocol's parts on it.
//   websocket_peer.js serve PORT     /refused is answered with 403; "close", "terminate" and
//                                    "ping" are asked for by messages
//   websocket_peer.js ask HOST:PORT  prints what came of everything, as JSON
'use strict';
const crypto = require('crypto');
const http = require('http');
const WebSocket = require('ws');

function serve(port) {
  const server = http.createServer((request, response) => response.end('no socket\n'));
  const sockets = new WebSocket.Server({noServer: true, maxPayload: 64 << 20});
  server.on('upgrade', (request, socket, head) => {
    if (request.url === '/refused') {
      socket.end('HTTP/1.1 403 Forbidden\r\ncontent-length: 9\r\nx-why: tea\r\n\r\nno entry\n');
      return;
    }
    sockets.handleUpgrade(request, socket, head, (peer) => {
      peer.on('message', (data, binary) => {
        if (String(data) === 'close') return peer.close(4001, 'as you wish');
        if (String(data) === 'terminate') return peer.terminate();
        if (String(data) === 'ping') return peer.ping('are you there');
        peer.send(data, {binary});
      });
      peer.on('pong', (data) => peer.send(`pong: ${data}`));
      peer.on('close', (code) => console.log(`closed ${code}`));
      peer.on('error', () => {});
    });
  });
  server.listen(port, '0.0.0.0');
}

const event = (emitter, name) => new Promise((resolve, reject) => {
  emitter.once(name, (...values) => resolve(values));
  if (name !== 'close') emitter.once('error', reject);
});

async function open(target, path = '/', options = {}) {
  const socket =
      new WebSocket(`ws://${target}${path}`, ['tea', 'coffee'], {maxPayload: 64 << 20, ...options});
  await event(socket, 'open');
  return socket;
}

async function everything(target) {
  const results = {};
  const socket = await open(target);
  results['protocol'] = socket.protocol;
  const echo = async (data) => { socket.send(data); return (await event(socket, 'message'))[0]; };
  results['text'] = String(await echo('grüner Tee'));
  results['empty'] = (await echo('')).length;
  const large = crypto.randomBytes(5 << 20);
  results['large'] = large.equals(await echo(large));
  for (let i = 0; i < 1000; ++i) socket.send('piece ', {fin: i === 999});
  results['fragments'] = (await event(socket, 'message'))[0].length;
  socket.ping('hello');
  results['pong'] = String((await event(socket, 'pong'))[0]);
  socket.send('ping');
  results['ping of the server'] = String((await event(socket, 'message'))[0]);
  let heard = 0;
  const all = new Promise((resolve) => socket.on('message', () => ++heard === 2000 && resolve()));
  for (let i = 0; i < 2000; ++i) socket.send(`message ${i}`);
  await all;
  results['many'] = heard;
  socket.close(4000, 'enough');
  results['close'] = (await event(socket, 'close')).map(String);

  const closed = await open(target);
  closed.send('close');
  results['close of the server'] = (await event(closed, 'close')).map(String);

  const broken = await open(target);
  broken.on('error', () => {});
  broken.send('terminate');
  results['abrupt end of the server'] = (await event(broken, 'close'))[0];

  results['refused'] = await new Promise((resolve) => {
    const refused = new WebSocket(`ws://${target}/refused`);
    refused.on('unexpected-response', (request, response) => {
      let body = '';
      response.on('data', (piece) => body += piece);
      response.on('end', () => resolve([response.statusCode, response.headers['x-why'], body]));
    });
    refused.on('open', () => resolve('opened'));
    refused.on('error', (error) => resolve(String(error)));
  });

  const dropped = await open(target);
  dropped.terminate();
  return results;
}

async function main() {
  const [what, where] = process.argv.slice(-2);
  if (what === 'serve') return serve(where);
  console.log(JSON.stringify(await everything(where)));
  // What was refused may have left a connection that is kept for more.
  setImmediate(() => process.exit(0));
}

main();
