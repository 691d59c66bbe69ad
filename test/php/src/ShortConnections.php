<?php

declare(strict_types=1);

namespace Peer;

/** One connection for each call, to one gateway or several, as a backend makes them. */
final class ShortConnections
{
    private const ANSWER_SECONDS = 5;

    public function __construct(private readonly string $secretKey, private readonly int $connectTimeout)
    {
    }

    /** Writes a command and closes the connection right behind it. */
    public function tell(string $address, Frame $frame): void
    {
        fclose($this->write($address, $frame));
    }

    /**
     * Asks the gateways at the same time.
     *
     * @param list<string> $addresses
     * @return array<string, mixed> address → answer
     */
    public function ask(array $addresses, Frame $frame): array
    {
        $streams = [];
        foreach ($addresses as $address) {
            $streams[$address] = $this->write($address, $frame);
        }
        $answers = [];
        foreach ($streams as $address => $stream) {
            stream_set_timeout($stream, self::ANSWER_SECONDS);
            $answers[$address] = unserialize($this->readAnswer($stream, $address));
            fclose($stream);
        }
        return $answers;
    }

    /** @return resource */
    private function write(string $address, Frame $frame)
    {
        $stream = @stream_socket_client("tcp://$address", $code, $reason, $this->connectTimeout);
        if (!$stream) {
            throw new \RuntimeException("gateway $address cannot be reached: $reason");
        }
        // The hello and the command in one segment, without a word of the gateway in between.
        fwrite($stream, $this->hello() . $frame->encode());
        return $stream;
    }

    private function hello(): string
    {
        if ($this->secretKey === '') {
            return '';
        }
        $body = json_encode(['secret_key' => $this->secretKey]);
        return (new Frame(Command::GATEWAY_CLIENT_CONNECT, body: $body))->encode();
    }

    /** @param resource $stream */
    private function readAnswer($stream, string $address): string
    {
        $length = $this->read($stream, 4, $address);
        return $this->read($stream, unpack('N', $length)[1], $address);
    }

    /** @param resource $stream */
    private function read($stream, int $length, string $address): string
    {
        $bytes = $length === 0 ? '' : stream_get_contents($stream, $length);
        if (strlen((string) $bytes) !== $length) {
            throw new \RuntimeException("gateway $address did not answer");
        }
        return $bytes;
    }
}
