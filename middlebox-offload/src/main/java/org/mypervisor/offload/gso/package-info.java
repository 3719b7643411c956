/** What a receiving driver did not negotiate, done in software: checksums completed and GSO frames cut to wire size. */
package org.mypervisor.offload.gso;
