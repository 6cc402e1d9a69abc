-- Asks jeton whether a request may pass. Made by `jeton gateway config {{name}}`, for haproxy.cfg beside it.

local TIMEOUT_MS = 1500 -- HAProxy asks up to four times

-- The headers of jeton's answer, and the variables that haproxy.cfg reads them from.
local IDENTITY = {
    ["{{header_lower}}"] = "txn.{{variable}}",
}

-- Where jeton is: the address of its server in haproxy.cfg.
local function endpoint()
    local host, port = core.backends["jeton"].servers["jeton"]:get_addr():match("^(.*):(%d+)$")
    if host:find(":") then
        host = "[" .. host .. "]"
    end
    return "http://" .. host .. ":" .. port .. "/authz/{{name}}"
end

-- The first value of a header, or nothing.
local function first(headers, name)
    local values = headers and headers[name]
    return values and (values[0] or values[1])
end

-- All values of a header, or nothing.
local function every(headers, name)
    local values = headers and headers[name]
    if not values then
        return nil
    end
    local all = {}
    for _, value in pairs(values) do
        all[#all + 1] = value
    end
    return all
end

local function answer(txn, status, headers, body)
    local reply = txn:reply({ status = status })
    for name, values in pairs(headers) do
        for _, value in ipairs(values) do
            reply:add_header(name, value)
        end
    end
    reply:set_body(body)
    txn:done(reply)
end

core.register_action("jeton", { "http-req" }, function(txn)
    -- What is judged: the method and the path as they stand in the request, byte by byte.
    local headers = {
        ["x-original-method"] = { txn.sf:method() },
        ["x-original-uri"] = { txn.sf:url() },
        ["x-original-host"] = { txn.sf:req_fhdr("host") },
    }
    -- Each token, proof (DPoP) and certificate of the client, so that jeton sees and refuses two of them.
    for _, name in ipairs({
        "authorization",
        "dpop",
        "client-cert",
    }) do
        headers[name] = every(txn.http:req_get_headers(), name)
    end

    local decision = core.httpclient():get({ url = endpoint(), headers = headers, timeout = TIMEOUT_MS })

    if decision and decision.status == 200 then
        for name, variable in pairs(IDENTITY) do
            txn:set_var(variable, first(decision.headers, name) or "")
        end
        txn:set_var("txn.jeton", "allowed")
    elseif decision and (decision.status == 401 or decision.status == 403) then
        local passed_on = {}
        for _, name in ipairs({ "www-authenticate", "content-type", "cache-control" }) do
            passed_on[name] = every(decision.headers, name)
        end
        answer(txn, decision.status, passed_on, decision.body or "")
    end
    -- Anything else is no decision: txn.jeton stays unset, and haproxy.cfg refuses with 503.
end)
