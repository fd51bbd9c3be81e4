-- Stores each value unless a newer one is there, and publishes what was stored. A value begins
-- with its version, 20 digits. KEYS: keys. ARGV: channel, bytes of the keys' prefix, then value
-- and milliseconds to live of each key.
local channel, prefix = ARGV[1], tonumber(ARGV[2])
for i, key in ipairs(KEYS) do
  local value, keep = ARGV[2 * i + 1], ARGV[2 * i + 2]
  local known = redis.call('GET', key)
  if not known or string.sub(known, 1, 20) < string.sub(value, 1, 20) then
    redis.call('SET', key, value, 'PX', keep)
    redis.call('PUBLISH', channel, 'e' .. value .. '\n' .. string.sub(key, prefix + 1))
  end
end
