// A private MariaDB for tests, through deploy/mariadb.sh.
#pragma once

#include "database/session.hpp"

#include <string>

namespace bft::database::testing {

class PrivateServer {
public:
    /// Starts it, with an empty database "bank".
    PrivateServer();
    /// Stops it and deletes its files.
    ~PrivateServer();
    PrivateServer(const PrivateServer&) = delete;
    PrivateServer& operator=(const PrivateServer&) = delete;

    void start() const;
    void crash() const;  ///< kill -9
    [[nodiscard]] ConnectOptions options() const;
    /// Another empty database in the same server.
    [[nodiscard]] ConnectOptions fresh_database(const std::string& name) const;

private:
    void script(const std::string& command) const;

    std::string folder_;
};

}  // namespace bft::database::testing
