'use strict'
// What the clients for Node have in common: their lines, and when to end. See doc.go of the folder above.

const stdin = { closed: false }

function watchStdin() {
  process.stdin.on('end', () => { stdin.closed = true })
  process.stdin.on('error', () => { stdin.closed = true })
  process.stdin.resume()
}

const say = (...words) => process.stdout.write(words.join(' ') + '\n')

function must(cond, ...what) {
  if (!cond) throw new Error(what.map((w) => typeof w === 'string' ? w : JSON.stringify(w, (_, v) => typeof v === 'bigint' ? String(v) : v)).join(' '))
}

// refused waits for a refusal whose text or type has the word in it.
async function refused(promise, word) {
  try {
    await promise
  } catch (e) {
    const parts = [e.type, e.message, e.code, JSON.stringify(e.groups ?? ''), ...(e.errors ?? []).map((x) => `${x.apiId} ${x.type} ${x.message}`),
      e.cause && String(e.cause.message), ...(e.cause?.errors ?? []).map((x) => `${x.apiId} ${x.message}`)]
    must(parts.join(' ').includes(word), 'refused with', parts.join(' '))
    return
  }
  must(false, 'not refused with', word)
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

function main(roles) {
  const [role, ...args] = process.argv.slice(2)
  roles[role](...args).then(() => process.exit(0), (e) => {
    const inner = (x) => [x?.message, ...[...(x?.errors ?? []), x?.cause].filter(Boolean).flatMap(inner)]
    console.error(e.stack, [...new Set(inner(e))])
    process.exit(1)
  })
}

module.exports = { stdin, watchStdin, say, must, refused, pause, main }
