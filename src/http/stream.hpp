// One subscriber of events: a WebSocket or a stream of server-sent events.
#pragma once

#include <functional>
#include <memory>
#include <string>

namespace bft::http {

class Stream {
public:
    virtual ~Stream() = default;
    /// Queues one event, JSON without line ends. When the subscriber reads too slowly its queue is
    /// dropped, `lost` is sent in place of it, and the stream ends.
    virtual void send(std::shared_ptr<const std::string> event) = 0;
    virtual void end() = 0;
};

}  // namespace bft::http
