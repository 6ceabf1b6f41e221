// Runs the function's `handler`, which is above this text, on the events of a file. It prints a line for each:
// {answer, log, millis}, and where the function threw, `fault`: CloudFront then answers 503. `now` in an event is the time of that event, in milliseconds since 1970.

import fs from 'fs'

const now = Date.now
let logged = []
console.log = (line) => logged.push(line)

async function run() {
  const events = JSON.parse(fs.readFileSync(process.argv[2]))
  const lines = []
  for (let idx = 0; idx < events.length; idx++) {
    const event = events[idx]
    const query = event.rawQueryString
    delete event.rawQueryString
    event.request.rawQueryString = () => query || undefined
    Date.now = () => event.now
    logged = []
    const started = now()
    const line = { log: logged }
    try {
      line.answer = await handler(event)
    } catch (error) {
      line.answer = { statusCode: 503, statusDescription: 'Service Unavailable', headers: {} }
      line.fault = String(error && error.stack)
    }
    line.millis = now() - started
    lines.push(JSON.stringify(line))
  }
  fs.writeFileSync(process.argv[3], lines.join('\n'))
}

run().catch((error) => fs.writeFileSync(process.argv[3], JSON.stringify({ fault: String(error) })))
