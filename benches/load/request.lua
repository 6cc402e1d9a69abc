-- One thread of wrk, and what it tells at the end.
--
--   wrk ... -s request.lua URL                   GET
--   wrk ... -s request.lua URL form FORM         POST, the same form each time
--   wrk ... -s request.lua URL json JSON         POST, the same JSON each time
--   wrk ... -s request.lua URL forms FILE        POST, each time the next line of the file
--   wrk ... -s request.lua URL bearers FILE      GET, each time with the next line of the file as bearer token

local function lines_of(file)
  local lines = {}
  for line in io.lines(file) do
    lines[#lines + 1] = line
  end
  local at = 0
  return function()
    at = at % #lines + 1
    return lines[at]
  end
end

function init(args)
  local what, value = args[1], args[2]
  if what == "form" or what == "forms" then
    wrk.method = "POST"
    wrk.headers["Content-Type"] = "application/x-www-form-urlencoded"
  end
  if what == "json" then
    wrk.method = "POST"
    wrk.headers["Content-Type"] = "application/json"
  end
  if what == "form" or what == "json" then
    wrk.body = value
  elseif what == "forms" then
    local next_line = lines_of(value)
    request = function()
      return wrk.format(nil, nil, nil, next_line())
    end
  elseif what == "bearers" then
    -- put together by hand, for `wrk.format` takes longer than the server does
    local head = "GET " .. wrk.path .. " HTTP/1.1\r\nHost: " .. wrk.headers["Host"] .. "\r\nAuthorization: Bearer "
    local next_line = lines_of(value)
    request = function()
      return head .. next_line() .. "\r\n\r\n"
    end
  end
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests":%d,"micros":%d,"failed":%d,"p50":%d,"p99":%d,"p999":%d}\n',
    summary.requests, summary.duration,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    latency:percentile(50), latency:percentile(99), latency:percentile(99.9)
  ))
end
