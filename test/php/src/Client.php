<?php

declare(strict_types=1);

namespace Peer;

/** A gateway's client: its WebSocket, and what the gateway knows of it. */
final class Client
{
    public ?string $uid = null;
    /** @var array<array-key, string> group → group */
    public array $groups = [];
    /** The bytes that it was given as. */
    public string $session = '';
    /** The worker that it is bound to. */
    public ?WorkerLink $worker = null;

    private readonly WebSocket $webSocket;
    private bool $isOpen = false;
    /** What was sent to it before the handshake was done. */
    private string $waiting = '';

    /**
     * @param \Closure(array): void $onOpen
     * @param \Closure(string): void $onMessage
     * @param \Closure(): void $onClose
     */
    public function __construct(
        public readonly int $id,
        public readonly Connection $connection,
        private readonly \Closure $onOpen,
        private readonly \Closure $onMessage,
        \Closure $onClose,
    ) {
        $this->webSocket = new WebSocket();
        $connection->onData = $this->onData(...);
        $connection->onClose = $onClose;
    }

    /** Sends a message as text, which is what Workerman does with everything; what is no scalar goes as JSON. */
    public function send(mixed $message, bool $raw): void
    {
        $text = is_scalar($message) ? (string) $message : json_encode($message, JSON_UNESCAPED_UNICODE);
        $bytes = $raw ? $text : WebSocket::encode(WebSocket::TEXT, $text);
        if ($this->isOpen) {
            $this->connection->send($bytes);
        } else {
            $this->waiting .= $bytes;
        }
    }

    private function onData(): void
    {
        try {
            $this->isOpen ? $this->readMessages() : $this->readHandshake();
        } catch (\UnexpectedValueException $error) {
            fwrite(STDERR, "a client broke the protocol: {$error->getMessage()}\n");
            $this->connection->destroy();
        }
    }

    private function readHandshake(): void
    {
        $handshake = WebSocket::takeHandshake($this->connection->input);
        if ($handshake === null) {
            return;
        }
        $handshake['server'] += [
            'REMOTE_ADDR' => $this->connection->remoteIp,
            'REMOTE_PORT' => $this->connection->remotePort,
            'SERVER_PORT' => $this->connection->localPort,
        ];
        $this->isOpen = true;
        $this->connection->send(WebSocket::accept($handshake) . $this->waiting);
        ($this->onOpen)($handshake);
        $this->readMessages();
    }

    private function readMessages(): void
    {
        foreach ($this->webSocket->takeFrom($this->connection->input) as [$opcode, $payload]) {
            match ($opcode) {
                WebSocket::CLOSE => $this->answerClose($payload),
                WebSocket::PING => $this->connection->send(WebSocket::encode(WebSocket::PONG, $payload)),
                WebSocket::PONG => null,
                default => ($this->onMessage)($payload),
            };
        }
    }

    private function answerClose(string $payload): void
    {
        $this->connection->send(WebSocket::encode(WebSocket::CLOSE, substr($payload, 0, 2)));
        $this->connection->close();
    }
}
