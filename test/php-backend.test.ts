import { beforeEach, describe, expect, it } from 'vitest'
import { freePort } from './free-port.ts'
import { describeWithPhp, type PhpCluster, usePhpCluster } from './php.ts'
import type { TestClient } from './test-client.ts'

// Each scenario also runs on a cluster of PHP's processes only: that is what makes its expectations right.
const clusters = {
  "PHP's gateways": { gateways: 0, phpGateways: 2, phpRegister: true, phpWorkers: 1, workers: 0 },
  'our gateways': { gateways: 2 },
  'our gateways, with a secret': { gateways: 2, secretKey: 'the secret of this cluster' },
}

let cluster: PhpCluster
/** Who is there in every test: Ann and Cid at the first gateway, Ben at the second. */
let ann: TestClient
let ben: TestClient
let cid: TestClient
/** What a client sees when it is closed with closeClient: ours says goodbye, PHP's does not. */
let closedCode: number

const idsOf = (...clients: TestClient[]) => clients.map(({ clientId }) => clientId)

/** What the code returns; it knows `$ann`, `$ben`, `$cid`, their ids, and `$nobody`, an id of the first gateway that nobody has. */
async function php(code: string): Promise<unknown> {
  const nobody = `${ann.clientId.slice(0, 12)}ffffffff`
  const variables = { ann: ann.clientId, ben: ben.clientId, cid: cid.clientId, nobody }
  return cluster.php(code, variables)
}

/** What Ann, Ben and Cid were sent so far. */
async function received(): Promise<(string | Buffer)[][]> {
  await php("foreach ([$ann, $ben, $cid] as $id) Gateway::sendToClient($id, 'end');")
  const inboxes: (string | Buffer)[][] = []
  for (const client of [ann, ben, cid]) {
    const messages: (string | Buffer)[] = []
    for (let message = await client.next(); message !== 'end'; message = await client.next()) messages.push(message)
    inboxes.push(messages)
  }
  return inboxes
}

const inGroups =
  'foreach ([[$ann, "g1"], [$ben, "g1"], [$ben, "g2"], [$cid, "g2"]] as $member) Gateway::joinGroup(...$member);'
const withUids = 'foreach ([[$ann, "u1"], [$ben, "u1"], [$cid, "u2"]] as $user) Gateway::bindUid(...$user);'
/** What a session can hold that another codec would lose, and changes to it. */
const sessions = `
  $session = ['list' => [1, 2, 3], 'map' => ['z' => 1, 'a' => ['c' => 2]], 'big' => PHP_INT_MAX, 'float' => 0.1, 'whole' => 1.0,
    'bytes' => "\\xff\\x00'", 'object' => (object) ['p' => [1.0]], 5 => 'five', '05' => 'oh five', -1 => 'minus', 'nothing' => null,
    'text' => 'Grüße', 'no' => false, 'empty' => [], 'infinite' => INF];
  $changes = ['list' => [1 => 'two'], 'map' => ['a' => ['d' => 3]], 5 => 'FIVE', 'new' => ['x' => "\\x80"], 'no' => 0];`

const scenarios: Record<string, () => Promise<void>> = {
  async sendToAll() {
    const results = await php(`
      $results = [
        Gateway::sendToAll('text'),
        Gateway::sendToAll('some', [$ann, $ben, $ben]),
        Gateway::sendToAll('none', []),
        Gateway::sendToAll('others', null, [$ann, $ben]),
        Gateway::sendToAll('not Ann', null, $ann),
        Gateway::sendToAll('only Ben', [$ann, $ben], [$ann]),
        Gateway::sendToAll("\\x82\\x02\\xff\\x00", null, null, true),
      ];
      return array_unique($results);`)
    expect(results).toEqual([true])
    const raw = Buffer.from([255, 0])
    expect(await received()).toEqual([
      ['text', 'some', raw],
      ['text', 'some', 'not Ann', 'only Ben', raw],
      ['text', 'others', 'not Ann', raw],
    ])
  },

  async sendToClient() {
    const list = '[["a" => "x/y", "n" => null], [1, "two", [3.5]], null, "", "0", 12, 1.5, true, false, "Grüße 😀"]'
    const returned = await php(`
      foreach (${list} as $message) Gateway::sendToClient($ben, $message);
      Gateway::sendToClient($ben, str_repeat('ü', 50000));
      Gateway::sendToClient($ben, "\\x81\\x03raw", true);
      return [Gateway::sendToClient($nobody, 'text'), Gateway::sendToClient('no id', 'text')];`)
    const texts = ['{"a":"x\\/y","n":null}', '[1,"two",[3.5]]', 'null', '', '0', '12', '1.5', '1', '', 'Grüße 😀']
    expect(await received()).toEqual([[], [...texts, 'ü'.repeat(50000), 'raw'], []])
    expect(returned).toEqual([true, false])
  },

  async sendToUid() {
    await php(`
      Gateway::bindUid($ann, 'u1'); Gateway::bindUid($ben, 'u1'); Gateway::bindUid($cid, 2);
      Gateway::sendToUid('u1', 'one');
      Gateway::sendToUid(['u1', 2, 'u3'], 'three');
      Gateway::sendToUid([2, '2'], 'twice');
      Gateway::sendToUid('unknown', 'nobody');
      Gateway::sendToUid([], 'nobody');
      Gateway::sendToUid(2, ['list']);`)
    const [forAnn, forBen, forCid] = await received()
    expect(forAnn).toEqual(['one', 'three'])
    expect(forBen).toEqual(['one', 'three'])
    expect(forCid).toEqual(['three', 'twice', 'twice', '["list"]'])
  },

  async sendToGroup() {
    const returned = await php(`
      ${inGroups} Gateway::joinGroup($cid, 123); Gateway::joinGroup($cid, 'Räume/1');
      Gateway::sendToGroup('g1', 'to g1');
      Gateway::sendToGroup(['g1', 'g2'], 'to both');
      Gateway::sendToGroup('g2', 'not Cid', [$cid]);
      Gateway::sendToGroup('g2', 'not Ben', $ben);
      Gateway::sendToGroup(123, 'int');
      Gateway::sendToGroup(['123'], 'text');
      Gateway::sendToGroup('Räume/1', 'UTF-8');
      Gateway::sendToGroup('unknown', 'nobody');
      return array_map(fn($group) => Gateway::sendToGroup($group, 'nobody'), ['', 0, '0', null, false, []]);`)
    expect(await received()).toEqual([
      ['to g1', 'to both'],
      ['to g1', 'to both', 'to both', 'not Cid'],
      ['to both', 'not Ben', 'int', 'text', 'UTF-8'],
    ])
    expect(returned).toEqual(Array(6).fill(false))
  },

  async closeClient() {
    const returned = await php(`
      Gateway::sendToClient($ben, 'before');
      return [Gateway::closeClient($ben, ['last' => 'words']), Gateway::closeClient($cid), Gateway::closeClient($nobody)];`)
    expect(await ben.take(2)).toEqual(['before', '{"last":"words"}'])
    expect(await ben.isClosed()).toMatchObject({ code: closedCode })
    expect(await cid.isClosed()).toMatchObject({ code: closedCode })
    expect(cid.waiting).toBe(0)
    expect(returned).toEqual([true, true, true])
    expect(await php('return [Gateway::isOnline($ben), array_keys(Gateway::getAllClientIdList())];')).toEqual([
      0,
      idsOf(ann),
    ])
  },

  async destoryClient() {
    expect(await php('return [Gateway::destoryClient($ben), Gateway::destoryClient($nobody)];')).toEqual([true, true])
    expect(await ben.isClosed()).toMatchObject({ code: 1006 })
    expect(await php('return Gateway::isOnline($ben);')).toBe(0)
  },

  async bindUid() {
    const uids = (await php(`
      Gateway::bindUid($ann, 'old'); Gateway::bindUid($ann, 'new'); Gateway::bindUid($ben, 'new'); Gateway::bindUid($cid, true);
      foreach (['', 0, '0', null, false] as $nothing) Gateway::bindUid($ann, $nothing);
      Gateway::bindUid($nobody, 'ghost');
      return [Gateway::getClientIdByUid('old'), Gateway::getClientIdByUid('new'), Gateway::getClientIdByUid('1'),
        Gateway::getClientIdByUid('ghost')];`)) as string[][]
    expect(uids).toEqual([[], inOrder(uids[1]!, idsOf(ann, ben)), idsOf(cid), []])
  },

  async unbindUid() {
    const clients = await php(`
      Gateway::bindUid($ann, 'u'); Gateway::bindUid($ben, 'u'); Gateway::bindUid($cid, 'v');
      Gateway::unbindUid($ann, 'u'); Gateway::unbindUid($cid, 'another');
      return [Gateway::getClientIdByUid('u'), Gateway::getClientIdByUid('v')];`)
    expect(clients).toEqual([idsOf(ben), []])
  },

  async joinGroup() {
    const groups = await php(`
      Gateway::joinGroup($ann, 'lobby'); Gateway::joinGroup($ann, 'lobby'); Gateway::joinGroup($cid, 'lobby');
      Gateway::joinGroup($cid, true);
      foreach (['', 0, '0', null, false] as $nothing) Gateway::joinGroup($ann, $nothing);
      Gateway::joinGroup($nobody, 'ghosts');
      return [array_values(Gateway::getAllGroupIdList()), array_values(Gateway::getClientIdListByGroup('lobby'))];`)
    expect(groups).toEqual([['lobby', 1], idsOf(ann, cid)])
  },

  async leaveGroup() {
    const members = await php(`
      foreach ([$ann, $ben] as $id) Gateway::joinGroup($id, 'g');
      Gateway::joinGroup($ann, 'other');
      Gateway::leaveGroup($ann, 'g'); Gateway::leaveGroup($ann, 'unknown');
      return [Gateway::getClientIdListByGroup('g'), Gateway::getClientIdListByGroup('other')];`)
    expect(members).toEqual([{ [ben.clientId]: ben.clientId }, { [ann.clientId]: ann.clientId }])
  },

  async ungroup() {
    const groups = await php(`
      foreach ([$ann, $ben, $cid] as $id) Gateway::joinGroup($id, 'g');
      Gateway::joinGroup($cid, 'other');
      $results = array_map(fn($group) => Gateway::ungroup($group), ['g', 'unknown', '', '0', null]);
      return [$results, array_values(Gateway::getAllGroupIdList())];`)
    expect(groups).toEqual([[true, true, false, false, false], ['other']])
  },

  async setSession() {
    const [first, second] = (await php(`
      Gateway::setSession($ben, ['a' => 1, 'b' => ['c' => 2]]);
      $first = Gateway::getSession($ben);
      Gateway::setSession($ben, ['b' => ['d' => 3]]);
      return [$first, Gateway::getSession($ben)];`)) as object[]
    expect(first).toEqual({ a: 1, b: { c: 2 } })
    expect(second).toEqual({ b: { d: 3 } })
  },

  /** The gateway merges as PHP's array_replace_recursive, and what it does not touch comes back byte for byte. */
  async updateSession() {
    const [merged, only, expected, changes] = (await php(`
      ${sessions}
      Gateway::setSession($ben, $session);
      Gateway::updateSession($ben, $changes);
      Gateway::updateSession($ann, $changes);
      $merged = [Gateway::getSession($ben), Gateway::getSession($ann)];
      return array_map(fn($session) => printable(serialize($session)), [
        ...$merged, array_replace_recursive($session, $changes), $changes]);`)) as string[]
    expect(merged).toBe(expected)
    expect(only).toBe(changes)
  },

  /** The bytes that the gateway keeps are those that PHP wrote. */
  async getSession() {
    const [none, unknown, empty, kept, written] = (await php(`
      ${sessions}
      $results = [Gateway::getSession($ann), Gateway::getSession($nobody)];
      Gateway::setSession($ann, []);
      $results[] = Gateway::getSession($ann);
      Gateway::setSession($ben, $session);
      [$address, $id] = ClientId::parse($ben);
      $select = new Frame(Command::SELECT, ext: '{"fields":["session"],"where":{"connection_id":[' . $id . ']}}');
      $rows = (new ShortConnections($secretKey, 3))->ask([$address], $select)[$address];
      return [...$results, printable($rows[$id]['session']), printable(serialize($session))];`)) as unknown[]
    expect([none, unknown, empty]).toEqual([[], null, []])
    expect(kept).toBe(written)
  },

  async getAllClientSessions() {
    const named = [ann, cid, ben].map(({ clientId }) => clientId)
    const [all, keys, members, zero] = (await php(`
      Gateway::setSession($ann, ['name' => 'Ann', 'ü' => [1.5, null]]); Gateway::setSession($ben, ['name' => 'Ben']);
      Gateway::joinGroup($ben, 'g');
      $all = Gateway::getAllClientSessions();
      return [$all, array_keys($all), Gateway::getAllClientSessions('g'), count(Gateway::getAllClientSessions('0'))];`)) as object[]
    const sessionOfAnn = { name: 'Ann', ü: [1.5, null] }
    expect(all).toEqual({ [ann.clientId]: sessionOfAnn, [ben.clientId]: { name: 'Ben' }, [cid.clientId]: [] })
    expect(keys).toEqual(inOrder(keys as string[], named))
    expect(members).toEqual({ [ben.clientId]: { name: 'Ben' } })
    expect(zero).toBe(3)
  },

  async getClientSessionsByGroup() {
    const members = await php(`
      Gateway::setSession($ben, ['name' => 'Ben']);
      foreach ([$ben, $cid] as $id) Gateway::joinGroup($id, 7);
      return [Gateway::getClientSessionsByGroup(7), Gateway::getClientSessionsByGroup('empty')];`)
    expect(members).toEqual([{ [ben.clientId]: { name: 'Ben' }, [cid.clientId]: [] }, []])
  },

  async isOnline() {
    const answers = await php(
      `return array_map(fn($id) => Gateway::isOnline($id), [$ann, $ben, $nobody, '', 'no id', 0]);`,
    )
    expect(answers).toEqual([1, 1, 0, 0, 0, 0])
  },

  async isUidOnline() {
    const answers = await php(`
      Gateway::bindUid($ben, 7);
      return array_map(fn($uid) => Gateway::isUidOnline($uid), [7, '7', '8', '', null]);`)
    expect(answers).toEqual([1, 1, 0, 0, 0])
  },

  getAllClientIdCount: () => expectAllCounted('getAllClientIdCount'),
  getAllClientCount: () => expectAllCounted('getAllClientCount'),
  getClientIdCountByGroup: () => expectMembersCounted('getClientIdCountByGroup'),
  getClientCountByGroup: () => expectMembersCounted('getClientCountByGroup'),

  async batchGetClientIdCountByGroup() {
    const counts = await php(`
      ${inGroups} Gateway::joinGroup($ann, 5);
      return [Gateway::batchGetClientIdCountByGroup(['g1', 'g2', 5, 'empty']), Gateway::batchGetClientIdCountByGroup([])];`)
    expect(counts).toEqual([{ g1: 2, g2: 2, 5: 1, empty: 0 }, []])
  },

  async getAllClientIdList() {
    const late = await cluster.connect(0)
    const list = (await php('return array_values(Gateway::getAllClientIdList());')) as string[]
    expect(list).toEqual(inOrder(list, idsOf(ann, cid, late, ben)))
    expect(await php('return count(Gateway::getAllClientIdList());')).toBe(4)
  },

  async getClientIdListByGroup() {
    const [keys, values, empty] = (await php(`
      ${inGroups} Gateway::joinGroup($ann, 'g2');
      $list = Gateway::getClientIdListByGroup('g2');
      return [array_keys($list), array_values($list), Gateway::getClientIdListByGroup('empty')];`)) as string[][]
    expect(keys!.toSorted()).toEqual(idsOf(ann, ben, cid).toSorted())
    expect(values).toEqual(keys)
    expect(empty).toEqual([])
  },

  async getClientIdByUid() {
    const clients = (await php(`
      ${withUids} Gateway::bindUid($cid, 'u1');
      return [Gateway::getClientIdByUid('u1'), Gateway::getClientIdByUid('unknown'), Gateway::getClientIdByUid('0')];`)) as string[][]
    expect(clients).toEqual([inOrder(clients[0]!, idsOf(ann, cid, ben)), [], []])
  },

  async batchGetClientIdByUid() {
    const clients = await php(`
      ${withUids} Gateway::bindUid($cid, 1001);
      return [Gateway::batchGetClientIdByUid(['u1', 1001, 'unknown']), Gateway::batchGetClientIdByUid([])];`)
    expect(clients).toEqual([{ u1: expect.arrayContaining(idsOf(ann, ben)), 1001: idsOf(cid), unknown: [] }, []])
  },

  async getUidByClientId() {
    const uids = await php(`
      Gateway::bindUid($ben, 1001);
      return array_map(fn($id) => Gateway::getUidByClientId($id), [$ben, $ann, $nobody, 'no id']);`)
    expect(uids).toEqual(['1001', null, null, null])
  },

  async getAllUidList() {
    const [before, after] = (await php(`
      $before = Gateway::getAllUidList();
      ${withUids} Gateway::bindUid($cid, 1001);
      return [$before, array_values(Gateway::getAllUidList())];`)) as string[][]
    expect(before).toEqual([])
    expect(after!.toSorted()).toEqual(['1001', 'u1'])
  },

  async getAllUidCount() {
    expect(await php(`${withUids} return Gateway::getAllUidCount();`)).toBe(2)
  },

  async getUidListByGroup() {
    const uids = await php(`
      ${withUids} ${inGroups} Gateway::joinGroup($ann, 'g3'); Gateway::unbindUid($ann, '');
      return array_map(fn($group) => Gateway::getUidListByGroup($group), ['g1', 'g2', 'g3']);`)
    expect(uids).toEqual([{ u1: 'u1' }, { u1: 'u1', u2: 'u2' }, []])
  },

  async getUidCountByGroup() {
    expect(await php(`${withUids} ${inGroups} return Gateway::getUidCountByGroup('g2');`)).toBe(2)
  },

  /** Decimal names are ints, as PHP's array keys are, in the order in which groups came to be. */
  async getAllGroupIdList() {
    const groups = await php(`
      $before = Gateway::getAllGroupIdList();
      foreach (['z', 123, '05', 'Räume/1', 9, 'a'] as $group) Gateway::joinGroup($ann, $group);
      return [$before, array_values(Gateway::getAllGroupIdList())];`)
    expect(groups).toEqual([[], ['z', 123, '05', 'Räume/1', 9, 'a']])
  },

  async getAllGroupUidList() {
    const uids = await php(`${withUids} ${inGroups} Gateway::joinGroup($cid, 5); return Gateway::getAllGroupUidList();`)
    expect(uids).toEqual({ g1: { u1: 'u1' }, g2: { u1: 'u1', u2: 'u2' }, 5: { u2: 'u2' } })
  },

  async getAllGroupUidCount() {
    expect(await php(`${withUids} ${inGroups} return Gateway::getAllGroupUidCount();`)).toEqual({ g1: 1, g2: 2 })
  },

  async getAllGroupClientIdList() {
    const clients = (await php(`${inGroups} return Gateway::getAllGroupClientIdList();`)) as Record<string, object>
    expect(Object.keys(clients).toSorted()).toEqual(['g1', 'g2'])
    expect(Object.values(clients.g1!).toSorted()).toEqual(idsOf(ann, ben).toSorted())
    expect(Object.keys(clients.g2!).toSorted()).toEqual(idsOf(ben, cid).toSorted())
  },

  async getAllGroupClientIdCount() {
    expect(await php(`${inGroups} return Gateway::getAllGroupClientIdCount();`)).toEqual({ g1: 2, g2: 2 })
  },
}

/** The ids of the list, which is whole gateways one after the other, in the order that they have in the other list. */
function inOrder(list: readonly string[], ids: readonly string[]): string[] {
  const gatewayOf = (id: string) => id.slice(0, 12)
  const gateways = [...new Set(list.map(gatewayOf))]
  return gateways.flatMap((gateway) => ids.filter((id) => gatewayOf(id) === gateway))
}

async function expectAllCounted(method: string): Promise<void> {
  const counts = await php(`
    $before = Gateway::${method}(); Gateway::destoryClient($ben); return [$before, Gateway::${method}()];`)
  expect(counts).toEqual([3, 2])
}

async function expectMembersCounted(method: string): Promise<void> {
  const counts = await php(`
    ${inGroups} Gateway::joinGroup($ann, 5);
    return array_map(fn($group) => Gateway::${method}($group), ['g1', 5, '5', 'empty', '0', '']);`)
  expect(counts).toEqual([2, 1, 1, 0, 0, 3])
}

describeWithPhp("a PHP web site's GatewayClient", () => {
  describe.each(Object.entries(clusters))('at %s', (_name, options) => {
    const used = usePhpCluster(options)

    beforeEach(async () => {
      cluster = used
      closedCode = options.gateways === 0 ? 1006 : 1000
      ann = await cluster.connect(0)
      ben = await cluster.connect(1)
      cid = await cluster.connect(0)
    })

    it.each(Object.entries(scenarios))('%s', (_method, scenario) => scenario())

    it('has all of its methods tested', async () => {
      const methods = await php('return get_class_methods(Gateway::class);')
      // Inside a worker only: php-worker.test.ts.
      const others = ['setBusinessWorker', 'sendToCurrentClient', 'closeCurrentClient', 'destoryCurrentClient']
      expect([...Object.keys(scenarios), ...others].toSorted()).toEqual((methods as string[]).toSorted())
    })

    it('selects by several criteria, any of which is enough', async () => {
      const rows = await php(`
        ${withUids} ${inGroups} Gateway::joinGroup($ann, 5); Gateway::setSession($ann, ['n' => 1]);
        $where = ['groups' => ['g1'], 'uid' => ['u2'], 'connection_id' => [4294967295]];
        [$address] = ClientId::parse($ann);
        [, $idOfCid] = ClientId::parse($cid);
        $ask = fn($where) => (new ShortConnections($secretKey, 3))->ask([$address],
          new Frame(Command::SELECT, ext: json_encode(['fields' => ['session', 'uid', 'groups'], 'where' => $where])))[$address];
        return [array_values($ask($where)), array_values($ask(['connection_id' => [$idOfCid]]))];`)
      const rowOfAnn = { session: 'a:1:{s:1:"n";i:1;}', uid: 'u1', groups: { g1: 'g1', 5: '5' } }
      const rowOfCid = { session: '', uid: 'u2', groups: { g2: 'g2' } }
      expect(rows).toEqual([[rowOfAnn, rowOfCid], [rowOfCid]])
    })

    it('may say many things on one connection, in pieces, and is answered in the order of asking', async () => {
      const answers = await php(`
        [$address, $id] = ClientId::parse($ann);
        $hello = new Frame(Command::GATEWAY_CLIENT_CONNECT, body: json_encode(['secret_key' => $secretKey]));
        $frames = [$hello, new Frame(Command::BIND_UID, $id, 'u'), new Frame(99, $id, 'what is that?', ['a' => 1]),
          new Frame(Command::GET_CLIENT_ID_BY_UID, ext: 'u'), new Frame(Command::UNBIND_UID, $id),
          new Frame(Command::GET_CLIENT_ID_BY_UID, ext: 'u'), new Frame(Command::IS_ONLINE, $id)];
        $stream = stream_socket_client("tcp://$address", context: stream_context_create(['socket' => ['tcp_nodelay' => true]]));
        foreach (str_split(implode(array_map(fn($frame) => $frame->encode(), $frames)), 7) as $piece) fwrite($stream, $piece);
        $answer = fn() => stream_get_contents($stream, unpack('N', stream_get_contents($stream, 4))[1]);
        return [str_replace("i:$id;", 'i:ANN;', $answer()), $answer(), $answer()];`)
      expect(answers).toEqual(['a:1:{i:0;i:ANN;}', 'a:0:{}', 'i:1;'])
    })
  })
})

describeWithPhp('a PHP web site', () => {
  const secretKey = 'right'
  const used = usePhpCluster({ gateways: 2, secretKey })

  it('that has several registers takes the first that answers', async () => {
    const client = await used.connect(1)
    const dead = `127.0.0.1:${await freePort()}`
    const lists = `
      Gateway::$registerAddress = [${JSON.stringify(dead)}, $registerAddress];
      return array_values(Gateway::getAllClientIdList());`
    expect(await used.php(lists)).toEqual([client.clientId])
  })

  it.each(['wrong', ''])('with the secret "%s" learns nothing and changes nothing', async (said) => {
    const client = await used.connect(0)
    const refusals = await used.php(
      `
      $attempts = [
        'register' => fn() => Gateway::getAllClientIdCount(),
        'gateway' => fn() => Gateway::isOnline($id),
        'command' => fn() => Gateway::destoryClient($id),
      ];
      Gateway::$secretKey = $said;
      return array_map(function ($attempt) {
        try { return $attempt(); } catch (RuntimeException $error) { return preg_replace('/[0-9.:]{6,}/', 'X', $error->getMessage()); }
      }, $attempts);`,
      { id: client.clientId, said },
    )
    expect(refusals).toEqual({
      register: 'no register answers: X',
      gateway: 'gateway X did not answer',
      command: true, // nobody waits for an answer
    })
    expect(await used.php('return Gateway::isOnline($id);', { id: client.clientId })).toBe(1)
  })

  /** PHP's gateway dies of these, with all its clients. */
  it('with nested arrays, or an update of what is no session, ends nothing', async () => {
    const client = await used.connect(0)
    const { clientId: id } = client
    await used.php(
      `
      Gateway::setSession($id, ['a' => 1]);
      [$address, $connection] = ClientId::parse($id);
      $gateway = new ShortConnections($secretKey, 3);
      foreach ([[['u']], [null], ['a' => ['b']], 7, 'u', null] as $nested) {
        $list = json_encode($nested);
        $gateway->tell($address, new Frame(Command::SEND_TO_UID, ext: $list, body: 'x'));
        $gateway->tell($address, new Frame(Command::SEND_TO_GROUP, ext: json_encode(['group' => $nested, 'exclude' => null]), body: 'x'));
        $gateway->tell($address, new Frame(Command::SEND_TO_ALL, ext: json_encode(['connections' => [[1]]]), body: 'x'));
      }
      $gateway->tell($address, new Frame(Command::UPDATE_SESSION, $connection, 'i:1;'));
      $gateway->tell($address, new Frame(Command::UPDATE_SESSION, $connection, 'no value'));
      $gateway->tell($address, new Frame(Command::SEND_TO_ALL, ext: '{', body: 'x'));`,
      { id },
    )
    const after = await used.php(
      `
      [$address] = ClientId::parse($id);
      $ask = fn($command, $ext) => (new ShortConnections($secretKey, 3))->ask([$address], new Frame($command, ext: $ext))[$address];
      return [$ask(Command::BATCH_GET_CLIENT_ID_BY_UID, '[["u"]]'), $ask(Command::BATCH_GET_CLIENT_COUNT_BY_GROUP, '[["g"]]'),
        $ask(Command::SELECT, '{"fields":["uid"],"where":{"groups":[["g"]]}}'), $ask(Command::BATCH_GET_CLIENT_ID_BY_UID, '{'), $ask(Command::SELECT, '{'),
        Gateway::getSession($id)];`,
      { id },
    )
    expect(after).toEqual([[], [], [], [], [], { a: 1 }])
    client.send('still there')
    expect(await client.nextJson()).toMatchObject({ echo: 'still there' })
  })
})
