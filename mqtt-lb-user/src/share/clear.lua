-- Stores each clear unless a newer one is there, and publishes what was stored. KEYS: the hash
-- of clears. ARGV: channel, milliseconds to live, then field and version of each clear.
local channel, keep = ARGV[1], ARGV[2]
for i = 3, #ARGV, 2 do
  local field, version = ARGV[i], ARGV[i + 1]
  local known = redis.call('HGET', KEYS[1], field)
  if not known or known < version then
    redis.call('HSET', KEYS[1], field, version)
    redis.call('PUBLISH', channel, 'c' .. version .. ' ' .. field)
  end
end
redis.call('PEXPIRE', KEYS[1], keep)
