<?php

declare(strict_types=1);

namespace Peer;

/** A connection to one address that is made again a second after it was lost. */
final class Dialer
{
    private const RETRY_SECONDS = 1;

    private ?Connection $connection = null;
    private ?int $retry = null;
    private bool $isClosed = false;

    /**
     * @param \Closure(Connection): void $onUp says the first words
     * @param \Closure(Connection): void $onData takes input off the connection
     * @param \Closure(): void $onDown is told of each loss
     */
    public function __construct(
        private readonly Loop $loop,
        private readonly string $address,
        private readonly \Closure $onUp,
        private readonly \Closure $onData,
        private readonly \Closure $onDown,
    ) {
        $this->dial();
    }

    /** False while there is no connection. */
    public function send(string $bytes): bool
    {
        $this->connection?->send($bytes);
        return $this->connection !== null;
    }

    public function close(): void
    {
        $this->isClosed = true;
        if ($this->retry !== null) {
            $this->loop->cancel($this->retry);
        }
        $this->connection?->close();
    }

    private function dial(): void
    {
        $context = stream_context_create(['socket' => ['tcp_nodelay' => true]]);
        $stream = @stream_socket_client("tcp://$this->address", $code, $reason, 1, STREAM_CLIENT_CONNECT, $context);
        if (!$stream) {
            $this->retry = $this->loop->after(self::RETRY_SECONDS, $this->dial(...));
            return;
        }
        $connection = new Connection($this->loop, $stream);
        $this->connection = $connection;
        $connection->onData = fn() => ($this->onData)($connection);
        $connection->onClose = $this->onConnectionLost(...);
        ($this->onUp)($connection);
    }

    private function onConnectionLost(): void
    {
        $this->connection = null;
        ($this->onDown)();
        if (!$this->isClosed) {
            $this->retry = $this->loop->after(self::RETRY_SECONDS, $this->dial(...));
        }
    }
}
