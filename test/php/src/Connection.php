<?php

declare(strict_types=1);

namespace Peer;

/** One TCP connection that never blocks. */
final class Connection
{
    private const CHUNK_BYTES = 65536;

    /** What came and was not taken yet; the reader cuts it. */
    public string $input = '';
    public readonly string $remoteIp;
    public readonly int $remotePort;
    public readonly int $localPort;
    /** Told of more input. */
    public \Closure $onData;
    /** Told once of the end. */
    public \Closure $onClose;
    private string $output = '';
    private bool $isEnding = false;
    private bool $isClosed = false;

    /** @param resource $stream */
    public function __construct(private readonly Loop $loop, private $stream)
    {
        stream_set_blocking($stream, false);
        // What fread() keeps for itself is invisible to select.
        stream_set_read_buffer($stream, 0);
        [$this->remoteIp, $port] = explode(':', (string) stream_socket_get_name($stream, true)) + [1 => 0];
        $this->remotePort = (int) $port;
        $this->localPort = (int) (explode(':', (string) stream_socket_get_name($stream, false))[1] ?? 0);
        $this->onData = $this->onClose = static fn() => null;
        $loop->onReadable($stream, $this->read(...));
    }

    /** Listens at "IP:PORT", and says so: the address has the port that 0 became. */
    public static function listen(Loop $loop, string $address, \Closure $onConnection): string
    {
        $context = stream_context_create(['socket' => ['tcp_nodelay' => true]]);
        $flags = STREAM_SERVER_BIND | STREAM_SERVER_LISTEN;
        $server = @stream_socket_server("tcp://$address", $code, $reason, $flags, $context);
        if (!$server) {
            throw new \RuntimeException("cannot listen at $address: $reason");
        }
        $loop->onReadable($server, static function () use ($loop, $server, $onConnection): void {
            $stream = @stream_socket_accept($server, 0);
            if ($stream) {
                $onConnection(new self($loop, $stream));
            }
        });
        return stream_socket_get_name($server, false);
    }

    public function send(string $bytes): void
    {
        if ($this->isEnding || $this->isClosed) {
            return;
        }
        $this->output .= $bytes;
        $this->flush();
    }

    /** Ends it after its output. */
    public function close(): void
    {
        $this->isEnding = true;
        $this->flush();
    }

    /** Ends it at once. */
    public function destroy(): void
    {
        if ($this->isClosed) {
            return;
        }
        $this->isClosed = true;
        $this->loop->forget($this->stream);
        fclose($this->stream);
        ($this->onClose)();
    }

    private function flush(): void
    {
        if ($this->isClosed) {
            return;
        }
        if ($this->output !== '') {
            $written = @fwrite($this->stream, $this->output);
            if ($written === false) {
                $this->destroy();
                return;
            }
            $this->output = substr($this->output, $written);
        }
        if ($this->output !== '') {
            $this->loop->onWritable($this->stream, $this->flush(...));
        } elseif ($this->isEnding) {
            $this->destroy();
        } else {
            $this->loop->forgetWritable($this->stream);
        }
    }

    private function read(): void
    {
        $bytes = @fread($this->stream, self::CHUNK_BYTES);
        if ($bytes !== false && $bytes !== '') {
            $this->input .= $bytes;
            if (!$this->isEnding) {
                ($this->onData)();
            }
        }
        if (!$this->isClosed && ($bytes === false || feof($this->stream))) {
            $this->destroy();
        }
    }
}
