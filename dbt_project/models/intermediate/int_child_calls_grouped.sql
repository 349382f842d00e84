{{ config(materialized = 'table', post_hook = '{{ analyze_this() }}') }}

with recursive operations as (

    select * from {{ ref('stg_llm_ops__operations') }}
    where parent_operation_id is not null

),

calls as (

    select
        operation_id,
        parent_operation_id,
        loaded_at,
        {{ is_span('operation_type') }} as is_span
    from operations
    where input_tokens is not null or output_tokens is not null or recorded_cost_usd is not null

),

-- An agent may work for an agent: what calls belong to belongs to something as well. What is between may be corrected
-- to belong to another, which has to be seen. Distinct rows, so that a circle ends.
ancestors as (

    select
        parent_operation_id,
        parent_operation_id as operation_id,
        cast(null as timestamp) as last_between_loaded_at
    from calls
    union
    select
        ancestors.parent_operation_id,
        operations.parent_operation_id as operation_id,
        greatest(ancestors.last_between_loaded_at, operations.loaded_at) as last_between_loaded_at
    from ancestors
    inner join operations on ancestors.operation_id = operations.operation_id

),

belongings as (

    select
        parent_operation_id,
        operation_id,
        max(last_between_loaded_at) as last_between_loaded_at
    from ancestors
    group by parent_operation_id, operation_id

),

-- What an agent used that is part of itself is left to nobody.
counted as (

    select
        calls.parent_operation_id,
        count(*) as child_call_count,
        max(calls.loaded_at) as last_child_loaded_at
    from calls
    left join belongings
        on
            calls.is_span
            and calls.parent_operation_id = belongings.parent_operation_id
            and calls.operation_id = belongings.operation_id
    where belongings.operation_id is null
    group by calls.parent_operation_id

),

final as (

    select
        belongings.operation_id,
        cast(sum(counted.child_call_count) as bigint) as child_call_count,
        max(greatest(counted.last_child_loaded_at, belongings.last_between_loaded_at)) as last_child_loaded_at
    from belongings
    inner join counted on belongings.parent_operation_id = counted.parent_operation_id
    group by belongings.operation_id

)

select * from final
